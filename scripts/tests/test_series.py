# SPDX-License-Identifier: GPL-2.0-only
"""scripts/series/series: tree and refresh are inverse to each other, and neither loses anything.

All tests but the last use a kernel of three files, so that they take no time."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from kernel.objects import Build, listed

REPOSITORY = Path(__file__).resolve().parents[2]
AUTHOR = {"GIT_AUTHOR_NAME": "Jörg Example", "GIT_AUTHOR_EMAIL": "joerg@example.org",
          "GIT_COMMITTER_NAME": "Committer", "GIT_COMMITTER_EMAIL": "committer@example.org"}


def run(*command, cwd, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k not in ("LINUX", "SIGNOFF", "TOPIC")}
    return subprocess.run(list(map(str, command)), cwd=cwd, env={**clean, **env}, text=True, capture_output=True)


def git(repo, *args):
    done = run("git", "-C", repo, *args, cwd=repo, **AUTHOR)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The part of kbuild that scripts/kernel/objects.py uses
KBUILD = """
allnoconfig:
\t@mkdir -p $(O) && cp $(KCONFIG_ALLCONFIG) $(O)/.config
prepare:
kernel/%.o:
\t@mkdir -p $(O)/kernel && cd $(O) && $(CC) -c $(CURDIR)/kernel/$*.c -o $@
"""


def make_kernel(path, version="6.1.7", lines=60):
    """Makes a directory that looks like Debian's kernel source."""
    path.mkdir()
    (path / ".gitignore").write_text("*.o\n.*\n\n#\n# Debian packaging: ignore\n#\n/*\n!/debian/\n")
    numbers = dict(zip(("VERSION", "PATCHLEVEL", "SUBLEVEL"), version.split(".")))
    (path / "Makefile").write_text("".join(f"{k} = {v}\n" for k, v in numbers.items()) + KBUILD)
    (path / "scripts").mkdir()
    (path / "scripts/Makefile.build").write_text("include $(srctree)/$(obj)/Makefile\n")
    (path / "kernel").mkdir()
    (path / "kernel/Makefile").write_text("real-obj-y := kernel/fork.o kernel/old.o\n")
    (path / "kernel/fork.c").write_text("".join(f"int line_{n};\n" for n in range(lines)))
    (path / "kernel/old.c").write_text("int old;\n")
    return path


def make_repository(kernel, path):
    """Makes a git repository of the same kernel, without Debian's lines in .gitignore."""
    shutil.copytree(kernel, path)
    (path / ".gitignore").write_text("*.o\n.*\n\n")
    git(path, "init", "--quiet")
    git(path, "add", "--all", "--force")
    git(path, "commit", "--quiet", "-m", "a kernel")
    return path


class Project:
    """A copy of the scripts, with its own series."""

    def __init__(self, top, kernel):
        self.top, self.kernel, self.linux = top, kernel, top / "build/linux"
        for name in ("series/series", "series/drift", "series/commits.py", "kernel/cc", "kernel/objects.py",
                     "guest/machine.py", "lib.py"):
            (top / "scripts" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / "scripts" / name, top / "scripts" / name)
        shutil.copytree(REPOSITORY / "scripts/kernel/config", top / "scripts/kernel/config")
        for topic in "one", "two":
            (top / "patches" / topic).mkdir(parents=True)
            (top / "patches" / topic / "cover-letter.txt").write_text(f"Subject {topic}\n\nWhat it is about.\n")

    def series(self, command, **env):
        return run("scripts/series/series", command, cwd=self.top, LINUX=str(self.kernel), **env)

    def ok(self, command, **env):
        done = self.series(command, **env)
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, command, **env):
        """Runs a command that must fail, and returns its one line of error."""
        done = self.series(command, **env)
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if line.startswith("series: ")]
        assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
        return lines[0]

    def files(self):
        """Returns all files that tree and refresh may change in the repository: content and mode."""
        return {str(path.relative_to(self.top)): (path.read_bytes(), path.stat().st_mode)
                for path in sorted(self.top.rglob("*"))
                if path.is_file() and path.relative_to(self.top).parts[0] not in ("build", "scripts")}

    def commit(self, subject, files, body="Because of this."):
        for name, content in files.items():
            path = self.linux / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_text(content)
        git(self.linux, "add", "--all")
        git(self.linux, "commit", "--quiet", "-m", subject, "-m", body)

    def history(self):
        return git(self.linux, "log", "--format=%T%n%B", "series")

    def check_inverse(self):
        """Checks that tree makes the same commits from refresh's files, and refresh the same files from them."""
        files, history = self.files(), self.history()
        shutil.rmtree(self.top / "build")
        self.ok("tree")
        assert self.history() == history
        self.ok("refresh")
        assert self.files() == files


SERIES = """# one: what is needed
one/zero.patch mm/zero.c

# two (needs one): what it is needed for
two/first.patch mm/first.c
"""


@pytest.fixture
def project(tmp_path):
    """A project whose series adds, edits and removes files in two topics. refresh wrote its series."""
    kernel = make_kernel(tmp_path / "kernel")
    project = Project(tmp_path / "top", kernel)
    (project.top / "mm").mkdir()
    for topic, name in ("one", "zero"), ("two", "first"):
        patch = project.top / f"patches/{topic}/{name}.patch"
        patch.write_text(f"From: A <a@example.org>\nSubject: {name}\n\n---\n\n")
        (project.top / f"mm/{name}.c").write_text(f"int {name};\n")
    (project.top / "patches/series").write_text(SERIES)
    project.ok("tree")
    fork = (kernel / "kernel/fork.c").read_text()
    project.commit("kernel: change two places", {
        "kernel/fork.c": fork.replace("line_10;", "line_10, ten;").replace("line_40;", "line_40, forty;"),
        "mm/second.c": "int second;\n", "tools/run.sh": "#!/bin/sh\n"})
    (project.linux / "tools/run.sh").chmod(0o755)
    git(project.linux, "commit", "--quiet", "--all", "--amend", "--no-edit")
    project.commit("kernel: \"quoted\": remove what is old, with a subject that is longer than any file name",
                   {"kernel/old.c": None}, "Two paragraphs.\n\n  - and a list\n")
    project.ok("refresh")
    return project


def test_tree_then_refresh_changes_nothing(project):
    files = project.files()
    assert set(files) == {"patches/series", "patches/one/cover-letter.txt", "patches/one/zero.patch",
                          "patches/two/cover-letter.txt", "patches/two/first.patch",
                          "patches/two/kernel-change-two-places.patch",
                          "patches/two/kernel-quoted-remove-what-is-old-with-a-subject-that-is.patch",
                          "mm/zero.c", "mm/first.c", "mm/second.c", "tools/run.sh"}
    shutil.rmtree(project.top / "build")
    project.ok("tree")
    project.ok("refresh")
    assert project.files() == files


def test_refresh_then_tree_gives_the_same_commits(project):
    history = project.history()
    shutil.rmtree(project.top / "build")
    project.ok("tree")
    assert project.history() == history
    assert os.access(project.linux / "tools/run.sh", os.X_OK)
    assert not (project.linux / "kernel/old.c").exists()


def test_patches_are_from_the_project(project):
    """The commits that the fixture makes, and the patches that it writes by hand, are from others."""
    patches = list(project.top.glob("patches/*/*.patch"))
    assert len(patches) == 4
    assert {patch.read_text().splitlines()[0] for patch in patches} == {
        "From: RISC-V execmem developers <riscv-execmem@example.org>"}


def test_commit_ids_repeat(project):
    ids = []
    for _ in range(2):
        shutil.rmtree(project.top / "build")
        project.ok("tree")
        ids.append(git(project.linux, "rev-parse", "HEAD"))
    assert ids[0] == ids[1]


def test_topics_stay(project):
    assert (project.top / "patches/series").read_text().startswith(SERIES)


def topics(project):
    """Returns the topic of each commit, by the commit's subject."""
    lines = (project.top / "patches/series").read_text().splitlines()
    names = [Path(line.split()[0]) for line in lines if ".patch" in line]
    return {name.name: str(name.parent) for name in names}


def test_new_and_moved_commits_belong_where_they_are(project):
    """A commit that moves between commits of another topic belongs to that topic. The others keep theirs."""
    project.commit("kernel: new", {"mm/third.c": "int third;\n"})
    third, quoted, change, first, zero = git(project.linux, "rev-list", "series", "^base").split()
    git(project.linux, "reset", "--quiet", "--hard", "base")
    git(project.linux, "cherry-pick", change, zero, third, first, quoted)
    project.ok("refresh")
    assert list(topics(project).items()) == [
        ("kernel-change-two-places.patch", "one"), ("zero.patch", "one"), ("kernel-new.patch", "one"),
        ("first.patch", "two"), ("kernel-quoted-remove-what-is-old-with-a-subject-that-is.patch", "two")]
    project.check_inverse()


@pytest.mark.parametrize("what, edit, said", [
    ("a comment", lambda text: "# The beginning\n" + text, "names no topic"),
    ("unknown", lambda text: text.replace("needs one", "needs three"), "needs three, which is not above it"),
    ("twice", lambda text: text.replace("# two", "# one"), "is there twice"),
    ("elsewhere", lambda text: text.replace("one/zero", "two/zero"), "is not in the directory of its topic"),
    ("no cover letter", lambda text: text + "# three: nobody wrote about it\nthree/x.patch\n", "has no cover letter")])
def test_wrong_topics_are_named(project, what, edit, said):
    series = project.top / "patches/series"
    (project.top / "patches/three").mkdir()
    (project.top / "patches/three/x.patch").write_text("From: A <a@example.org>\nSubject: x\n\n---\n\n")
    series.write_text(edit(series.read_text()))
    if what != "no cover letter":
        shutil.rmtree(project.top / "patches/three")
    assert said in project.refused("tree")


def test_new_file_is_no_part_of_a_patch(project):
    for patch in project.top.glob("patches/*/*.patch"):
        assert "--- /dev/null" not in patch.read_text()


def test_tree_only_writes_what_changed(project):
    untouched = (project.linux / "kernel/fork.c").stat().st_mtime_ns
    (project.top / "mm/second.c").write_text("int changed;\n")
    project.ok("tree")
    assert (project.linux / "mm/second.c").read_text() == "int changed;\n"
    assert (project.linux / "kernel/fork.c").stat().st_mtime_ns == untouched


def test_tree_is_not_repeated(project):
    project.commit("kernel: not written back", {"kernel/fork.c": "int mine;\n"})
    assert "up to date" in project.ok("tree").stderr
    assert (project.linux / "kernel/fork.c").read_text() == "int mine;\n"


@pytest.mark.parametrize("what", ["commit", "edit", "new file"])
def test_tree_overwrites_nothing_unsaved(project, what):
    path = project.linux / ("mm/third.c" if what == "new file" else "kernel/fork.c")
    path.write_text("int mine;\n")
    if what == "commit":
        git(project.linux, "commit", "--quiet", "--all", "-m", "mine")
    (project.top / "mm/second.c").write_text("int changed;\n")
    said = project.refused("tree")
    assert "make refresh" in said and "reset --hard" in said
    assert path.read_text() == "int mine;\n"
    assert (project.linux / "mm/second.c").read_text() == "int second;\n"


def test_refresh_refuses_uncommitted(project):
    (project.linux / "kernel/fork.c").write_text("int mine;\n")
    files = project.files()
    assert "not committed" in project.refused("refresh")
    assert project.files() == files


LINES = "".join(f"int line_{n};\n" for n in range(40))


def grow(project):
    """Adds a file that two later commits change. One of them makes it executable."""
    project.commit("mm: add a file", {"mm/third.c": LINES})
    once = LINES.replace("line_10;", "line_10, ten;")
    project.commit("mm: change it", {"mm/third.c": once, "kernel/fork.c": "int fork;\n"})
    twice = once.replace("line_10, ten;", "line_10, ten, 1_0;").replace("line_30;", "line_30, thirty;")
    project.commit("mm: change it again", {"mm/third.c": twice})
    (project.linux / "mm/third.c").chmod(0o755)
    git(project.linux, "commit", "--quiet", "--all", "--amend", "--no-edit")
    project.ok("refresh")
    return twice


def test_new_files_grow(project):
    final = grow(project)
    assert (project.top / "mm/third.c").read_text() == final
    first, second, third = ((project.top / f"patches/two/mm-{name}.patch").read_text()
                            for name in ("add-a-file", "change-it", "change-it-again"))
    assert "diff" not in first and "+int line_10, ten;" in second and "+int line_30, thirty;" in third
    project.check_inverse()
    assert git(project.linux, "show", "series~2:mm/third.c") == LINES.strip()


def test_edits_of_a_final_form_reach_the_first(project):
    path = project.top / "mm/third.c"
    path.write_text("int above;\n" + grow(project))
    project.ok("tree")
    assert git(project.linux, "show", "series~2:mm/third.c") == f"int above;\n{LINES}".strip()
    assert (project.linux / "mm/third.c").read_text() == path.read_text()


def test_edits_of_what_a_later_commit_changes_are_refused(project):
    path = project.top / "mm/third.c"
    path.write_text(grow(project).replace("thirty", "30"))
    head = git(project.linux, "rev-parse", "HEAD")
    said = project.refused("tree")
    assert "two/mm-change-it-again.patch" in said and "hunk 2 of mm/third.c" in said and "build/linux" in said
    assert git(project.linux, "rev-parse", "HEAD") == head


def test_refresh_refuses_to_remove_a_new_file(project):
    project.commit("mm: remove", {"mm/second.c": None})
    files = project.files()
    assert "mm/second.c, which a later commit removes" in project.refused("refresh")
    assert project.files() == files


@pytest.mark.parametrize("seed", [random.randrange(1 << 32) for _ in range(3)])
def test_random_histories(project, seed):
    """Refresh, then tree, gives the same commits for random changes. A second refresh writes nothing."""
    print(f"seed {seed}")
    choose = random.Random(seed)
    there = {"kernel/fork.c": (project.linux / "kernel/fork.c").read_text().splitlines()}
    for number in range(15):
        changed = {}
        for path in choose.sample(sorted(there), choose.randint(0, min(3, len(there)))):
            lines = there[path]
            for _ in range(choose.randint(1, 4)):
                where = choose.randrange(len(lines) + 1)
                # Identical lines in many places could cause a hunk to apply in the wrong place.
                new = choose.choices(["int same;", f"int new_{number};"], k=choose.randint(0, 3))
                lines[where:where + choose.randint(0, 3)] = new
            changed[path] = lines
        if choose.random() < 0.5 or not changed:
            path = f"mm/new_{number}.c"
            there[path] = changed[path] = choose.choices(["int same;", f"int first_{number};"], k=30)
        contents = {path: "".join(f"{line}\n" for line in lines) for path, lines in changed.items()}
        if any((project.linux / path).read_text() != text if (project.linux / path).exists() else True
               for path, text in contents.items()):
            project.commit(f"kernel: change {number}", contents)
    project.ok("refresh")
    project.check_inverse()


def test_refresh_refuses_the_projects_own_paths(project):
    project.commit("scripts: take a path", {"scripts/tool": "x\n"})
    assert "scripts/tool" in project.refused("refresh")


def test_refresh_refuses_during_a_rebase(project):
    git(project.linux, "checkout", "--quiet", "--detach", "HEAD~1")
    files = project.files()
    assert "rebase" in project.refused("refresh")
    assert project.files() == files


def test_dropped_commit_takes_its_files_along(project):
    git(project.top, "init", "--quiet")
    git(project.top, "add", "--all")
    git(project.linux, "rebase", "--quiet", "--onto", "HEAD~2", "HEAD~1", "series")
    project.ok("refresh")
    assert not (project.top / "mm/second.c").exists()
    assert "kernel-change-two-places.patch" not in topics(project) and len(topics(project)) == 3
    project.check_inverse()


def test_failing_hunk_is_named_and_nothing_is_touched(project):
    head = git(project.linux, "rev-parse", "HEAD")
    fork = project.kernel / "kernel/fork.c"
    fork.write_text(fork.read_text().replace("line_40;", "fortieth;"))
    said = project.refused("tree")
    assert "two/kernel-change-two-places.patch" in said and "hunk 2 of kernel/fork.c" in said
    assert git(project.linux, "rev-parse", "HEAD") == head
    assert git(project.linux, "status", "--porcelain") == ""
    kept = (project.top / "build/log/two/kernel-change-two-places.patch.rej").read_text()
    assert "forty" in kept and "ten" not in kept


def test_moved_base_changes_no_patch(project):
    fork = project.kernel / "kernel/fork.c"
    fork.write_text("int above;\n" * 7 + fork.read_text())
    files = project.files()
    assert "fuzz" not in project.ok("tree").stderr
    assert (project.linux / "kernel/fork.c").read_text().count("forty") == 1
    project.ok("refresh")
    assert project.files() == files


def test_changed_context_is_reported_and_refreshed(project):
    fork = project.kernel / "kernel/fork.c"
    fork.write_text(fork.read_text().replace("line_42;", "forty_second;"))
    assert "two/kernel-change-two-places.patch: applied with fuzz" in project.ok("tree").stderr
    project.ok("refresh")
    assert "forty_second" in (project.top / "patches/two/kernel-change-two-places.patch").read_text()
    shutil.rmtree(project.top / "build")
    assert "fuzz" not in project.ok("tree").stderr


def test_series_can_be_rebased_after_a_failing_hunk(project):
    """Follows the steps of CONTRIBUTING.md for moving to a newer kernel."""
    fork = project.kernel / "kernel/fork.c"
    fork.write_text(fork.read_text().replace("line_40;", "fortieth;"))
    project.refused("tree")
    old = git(project.linux, "rev-list", "--max-parents=0", "HEAD")
    run("git", "-C", project.linux, "rebase", "--onto", "base", old, "series", cwd=project.top, **AUTHOR)
    resolved = fork.read_text().replace("line_10;", "line_10, ten;").replace("fortieth;", "fortieth, forty;")
    (project.linux / "kernel/fork.c").write_text(resolved)
    git(project.linux, "add", "kernel/fork.c")
    git(project.linux, "-c", "core.editor=true", "rebase", "--continue")
    project.ok("refresh")
    assert "up to date" in project.ok("tree").stderr
    assert (project.linux / "kernel/fork.c").read_text() == resolved


def test_interrupted_checkout_is_finished(project):
    state = project.linux / ".git/series.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "settled": False}))
    (project.linux / ".git/index.lock").touch()
    (project.linux / "kernel/fork.c").write_text("half a fi")
    project.ok("tree")
    assert "forty" in (project.linux / "kernel/fork.c").read_text()
    assert git(project.linux, "status", "--porcelain") == ""


def test_interrupted_import_is_repeated(project):
    shutil.rmtree(project.top / "build")
    left = project.top / "build/linux.new/.git"
    left.mkdir(parents=True)
    (left / "index.lock").touch()
    project.ok("tree")
    assert not left.exists()


@pytest.mark.parametrize("version", ["5.10.7", "6.12.1"])
def test_base_of_another_version_is_refused(project, tmp_path, version):
    project.kernel = make_kernel(tmp_path / "other", version)
    head = git(project.linux, "rev-parse", "HEAD")
    said = project.refused("tree")
    assert version in said and "6.1.y" in said
    assert git(project.linux, "rev-parse", "HEAD") == head


def test_base_from_tarball_and_git_give_the_same_tree(project, tmp_path):
    history = project.history()
    tarball = tmp_path / "linux-6.1.7.tar.xz"
    subprocess.run(["tar", "-cJf", tarball, "-C", tmp_path, "kernel"], check=True)
    for project.kernel in (tarball, make_repository(project.kernel, tmp_path / "repository")):
        shutil.rmtree(project.top / "build")
        project.ok("tree")
        # Only the paragraph of the base commit that names the source differs.
        assert project.history().partition("Linux 6.1.7")[0] == history.partition("Linux 6.1.7")[0]


def test_broken_tarball_is_refused(project, tmp_path):
    project.kernel = tmp_path / "linux-6.1.7.tar.xz"
    project.kernel.write_bytes(b"not a tarball")
    assert "cannot unpack" in project.refused("tree")


def test_unlisted_and_missing_files_are_named(project):
    git(project.top, "init", "--quiet")
    (project.top / "mm/stray.c").write_text("int stray;\n")
    git(project.top, "add", "mm")
    assert "mm/stray.c" in project.refused("tree")
    git(project.top, "rm", "--quiet", "-f", "mm/stray.c")
    (project.top / "mm/second.c").unlink()
    assert "mm/second.c" in project.refused("tree")


def test_patch_that_adds_a_file_is_refused(project):
    patch = project.top / "patches/two/first.patch"
    patch.write_text(patch.read_text() + "diff --git a/mm/x.c b/mm/x.c\nnew file mode 100644\n"
                     "--- /dev/null\n+++ b/mm/x.c\n@@ -0,0 +1 @@\n+int x;\n")
    assert "adds a file" in project.refused("tree")


def exported(project):
    """Returns the mails of each topic, the cover letter first."""
    return [sorted(path for path in topic.iterdir()) for topic in sorted((project.top / "build/series").iterdir())]


def test_export_applies_with_git_am(project, tmp_path):
    project.ok("tree")
    project.ok("export", SIGNOFF="Some One <some@example.org>")
    (one, *mails_of_one), (two, *mails_of_two) = exported(project)
    assert (one.parent.name, two.parent.name) == ("01-one", "02-two")
    assert "Subject: [PATCH 6.1 0/1] Subject one" in one.read_text()
    cover = two.read_text()
    assert "Subject: [PATCH 6.1 0/3] Subject two" in cover and "What it is about." in cover and "BLURB" not in cover
    mails = mails_of_one + mails_of_two
    assert len(mails) == 4
    for mail in mails:
        assert "\nFrom: Some One <some@example.org>\n" in mail.read_text()
        assert "Signed-off-by: Some One <some@example.org>" in mail.read_text()
    target = make_repository(project.kernel, tmp_path / "target")
    git(target, "am", "--quiet", *mails)
    assert git(target, "rev-parse", "HEAD^{tree}") == git(project.linux, "rev-parse", "HEAD^{tree}")
    assert "Base:" not in git(target, "log")


def add_topic_three(project, purpose):
    """Adds a topic that needs topic one, and has a commit with a new file."""
    series = project.top / "patches/series"
    (project.top / "patches/three").mkdir()
    (project.top / "patches/three/x.patch").write_text("From: A <a@example.org>\nSubject: x\n\n---\n\n")
    (project.top / "patches/three/cover-letter.txt").write_text(f"Subject three\n\n{purpose}\n")
    (project.top / "mm/third.c").write_text("int third;\n")
    series.write_text(series.read_text() + "\n# three (needs one): another thing\nthree/x.patch mm/third.c\n")


def test_export_of_a_topic(project, tmp_path):
    """The export of a topic contains the topics that it needs, and no others."""
    add_topic_three(project, "It can do without two.")
    project.ok("tree")
    project.ok("export", TOPIC="three")
    (_, *one), (cover, *three) = exported(project)
    assert "Subject three" in cover.read_text()
    target = make_repository(project.kernel, tmp_path / "target")
    git(target, "am", "--quiet", *one, *three)
    assert sorted(path.name for path in (target / "mm").iterdir()) == ["third.c", "zero.c"]
    assert "there is no topic four (there is: one two three)" in project.refused("export", TOPIC="four")


def test_export_without_a_topic_that_changes_a_new_file(project, tmp_path):
    """The export has the first form of a new file, without the changes of a topic that is left out."""
    add_topic_three(project, "It makes one larger.")
    project.ok("tree")
    project.commit("zero: grow", {"mm/zero.c": "int zero, larger;\n"})
    project.ok("refresh")
    project.ok("export", TOPIC="two")
    (_, *one), (_, *two) = exported(project)
    target = make_repository(project.kernel, tmp_path / "target")
    git(target, "am", "--quiet", *one, *two)
    assert (target / "mm/zero.c").read_text() == "int zero;\n"


def test_export_onto_a_tree_with_local_commits(project, tmp_path):
    """With `make series LINUX=/path`, the user's own commits stay below the series."""
    mine = make_repository(project.kernel, tmp_path / "mine")
    fork = (mine / "kernel/fork.c").read_text()
    (mine / "kernel/local.c").write_text("int local;\n")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "a file of ours")
    (mine / "kernel/fork.c").write_text("int ours;\n" * 5 + fork)
    git(mine, "commit", "--quiet", "--all", "-m", "an edit of ours")
    head, project.kernel = git(mine, "rev-parse", "HEAD"), mine
    project.ok("tree")
    project.ok("export", SIGNOFF="Some One <some@example.org>")
    assert git(mine, "rev-parse", "HEAD") == head and git(mine, "status", "--porcelain") == ""
    (cover, *mails), (_, *more) = exported(project)
    assert f"Base: Linux 6.1.7, commit {head}\n" in cover.read_text()
    git(mine, "am", "--quiet", *mails, *more)
    assert git(mine, "rev-parse", "HEAD^{tree}") == git(project.linux, "rev-parse", "HEAD^{tree}")
    assert (mine / "kernel/local.c").exists() and "forty" in (mine / "kernel/fork.c").read_text()


def test_a_local_commit_in_the_way_is_told_apart(project, tmp_path):
    mine = make_repository(project.kernel, tmp_path / "mine")
    (mine / "kernel/fork.c").write_text((mine / "kernel/fork.c").read_text().replace("line_40;", "ours_40;"))
    git(mine, "commit", "--quiet", "--all", "-m", "an edit of ours")
    project.kernel = mine
    said = project.refused("tree")
    assert "two/kernel-change-two-places.patch" in said and "hunk 2 of kernel/fork.c" in said
    assert git(mine, "status", "--porcelain") == ""
    # Another conflict: the user's tree has a file that the series adds
    git(mine, "reset", "--hard", "--quiet", "HEAD~1")
    (mine / "mm").mkdir()
    (mine / "mm/second.c").write_text("int ours;\n")
    git(mine, "add", "--all")
    git(mine, "commit", "--quiet", "-m", "a file of ours")
    assert "mm/second.c is listed as a new file, but Linux 6.1.7 has it" in project.refused("tree")


def test_drift(project, tmp_path):
    """drift tells apart clean, offset, fuzz, conflict and failing compilation. The versions are in
    build/linux already, as if fetched. The mails name the versions on which all is well."""
    fork = (project.kernel / "kernel/fork.c").read_text()
    versions = {"6.1.1-1": fork, "6.1.2-3": "int above;\n" * 7 + fork,
                "6.1.3-1": fork.replace("line_42;", "forty_second;"), "6.1.4-1": fork + "int fork(;\n",
                "6.1.10-1": fork.replace("line_40;", "fortieth;")}

    def drift(*offered):
        fake = tmp_path / "bin/apt-cache"
        fake.parent.mkdir(exist_ok=True)
        lines = [f"echo 'linux-source-6.1 | {version} | a mirror'\n" for version in offered]
        fake.write_text("#!/bin/sh\n" + "".join(lines))
        fake.chmod(0o755)
        return run("scripts/series/drift", cwd=project.top, PATH=f"{fake.parent}:{os.environ['PATH']}")

    for version, content in versions.items():
        git(project.linux, "checkout", "--quiet", "--detach", "base")
        (project.linux / "kernel/fork.c").write_text(content)
        git(project.linux, "commit", "--quiet", "--all", "--allow-empty", "-m", f"Linux {version}")
        git(project.linux, "update-ref", f"refs/drift/{version}", "HEAD")
    done = drift("6.1.10-1", "6.1.4-1", "6.1.3-1", "6.1.2-3", "6.1.2-1", "6.1.1-1")
    assert done.returncode == 1, done.stderr
    table = done.stdout[done.stdout.index("\n6.1.1-1"):].split("\n")
    assert table[1].split() == ["6.1.1-1", "6.1.2-3", "6.1.3-1", "6.1.4-1", "6.1.10-1", "patch"]
    assert table[2].split() == ["clean", "offset", "fuzz", "clean", "conflict", "two/kernel-change-two-places.patch"]
    assert table[3].split()[:5] == ["compiles", "compiles", "compiles", "fails", "fails"]
    assert "3 of 4 patches are clean on all" in table[4]
    assert "6.1.3-1: two/kernel-change-two-places.patch: fuzz: kernel/fork.c at line 40\n" in done.stdout
    assert "6.1.10-1: two/kernel-change-two-places.patch: conflict: hunk 2 of kernel/fork.c\n" in done.stdout
    assert "6.1.4-1: kernel/fork.c: error: " in done.stdout
    assert drift("6.1.4-1").returncode == 1
    assert drift("6.1.3-1", "6.1.1-1").returncode == 0
    done = drift()
    assert done.returncode == 1 and "offers no linux-source-6.1" in done.stderr and "Traceback" not in done.stderr

    def mails():
        project.ok("export")
        return [mail.read_text() for mail in exported(project)[1]]

    git(project.linux, "checkout", "--quiet", "series")
    cover, _, moved, fine = mails()
    assert "Base: Linux 6.1.7\nApplies and compiles on: 6.1.1-1, 6.1.3-1 (with fuzz)\n" in cover
    assert "\n---\nBase: Linux 6.1.7\nApplies and compiles on: 6.1.1-1, 6.1.3-1 (with fuzz)\n" in moved
    assert "\n---\nBase: Linux 6.1.7\nApplies and compiles on: 6.1.1-1, 6.1.3-1\n" in fine
    # Now the series is another one than the series that drift tried.
    (project.top / "mm/second.c").write_text("int changed;\n")
    project.ok("tree")
    for mail in mails():
        assert "Base: Linux 6.1.7\n" in mail and "compiles on" not in mail


@pytest.mark.parametrize("place", ["top", "linux/top", "base/top", "linked"])
def test_warnings_are_the_same_in_another_tree(tmp_path, place):
    """Warnings compare equal wherever the clone is, even if build is a link, and with ccache's file names."""
    elsewhere, top = tmp_path / "elsewhere", tmp_path / place
    top.mkdir(parents=True)
    if place == "linked":
        elsewhere.mkdir()
        (top / "build").symlink_to(elsewhere)
    for tree, out in ("linux", "out/rv64"), ("base", "out/objects/rv64-base"):
        source = top / "build" / tree
        source.mkdir(parents=True)
        build = Build(listed("rv64"), source, top / "build" / out, None, None)
        printed = source.resolve(), os.path.relpath(source.resolve(), build.out.resolve())
        assert build.warnings([f"{path}/mm/slab.c:10:5: warning: unused" for path in printed]) == \
            2 * ["mm/slab.c: warning: unused"]
        assert build.warnings(["kernel/made.h:1: warning: odd"]) == ["kernel/made.h: warning: odd"]


def test_real_series(tmp_path):
    """Tree and refresh of this repository's series change nothing in it. Only patches that need fuzz
    for the base at hand may be rewritten."""
    top = tmp_path / "top"
    listed = [word for line in (REPOSITORY / "patches/series").read_text().splitlines()
              if not line.startswith("#") for word in line.split()[1:]]
    shutil.copytree(REPOSITORY / "patches", top / "patches")
    shutil.copytree(REPOSITORY / "scripts", top / "scripts")
    for path in listed:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, top / path)
    # A sparse clone of the base: it shares the objects, and writes few files.
    linux, real = top / "build/linux", REPOSITORY / "build/linux"
    base = git(real, "rev-list", "--max-parents=0", "HEAD")
    git(tmp_path, "clone", "--quiet", "--shared", "--sparse", "--no-checkout", real, linux)
    git(linux, "checkout", "--quiet", "-B", "series", base)

    def files():
        found = {path.relative_to(top): path for path in top.rglob("*") if path.is_file()}
        return {str(name): path.read_bytes() for name, path in found.items()
                if name.parts[0] != "build" and "__pycache__" not in name.parts}

    before = files()
    assert "patches/series" in before
    environment = {"LINUX": os.environ["LINUX"]} if os.environ.get("LINUX") else {}
    made = run("scripts/series/series", "tree", cwd=top, **environment)
    assert made.returncode == 0, made.stderr
    assert int(git(linux, "rev-list", "--count", f"{base}..HEAD")) > 0
    written = run("scripts/series/series", "refresh", cwd=top, **environment)
    assert written.returncode == 0, written.stderr
    after = files()
    changed = {Path(name).name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    fuzzy = {line.split(":")[0] for line in made.stderr.splitlines() if ": applied with fuzz: " in line}
    assert changed <= fuzzy
