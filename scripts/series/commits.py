# SPDX-License-Identifier: GPL-2.0-only
"""git, patches, patches/series and the base kernel's source. Shared by the programs in scripts/series and
scripts/kernel."""

import email.header
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from lib import BUILD, LINUX, TOP, Progress, die, write_file

PATCHES = TOP / "patches"
SERIES = PATCHES / "series"
# The result of the last run of scripts/series/drift
TRIED = BUILD / "drift/tried.json"
BASE = BUILD / "base"
MADE_OF = ".made-of"    # In a source without git: a file that says which source it is

# The project's own files. Every other tracked file belongs to the series.
OWN_FILES = {"README.md", "Makefile", "MAINTAINERS", "COPYING", "CONTRIBUTING.md", ".gitignore"}
OWN_DIRS = ("docs/", "scripts/", "patches/", ".ci/", "build/")

DATE = "2026-01-01T00:00:00 +0000"
NOBODY = "Linux <linux@localhost>"
# Who all patches are from, whoever wrote the commit: a submitter replaces this name with SIGNOFF=
AUTHOR = "RISC-V execmem developers <riscv-execmem@example.org>"
HUNK = re.compile(rb"^@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@.*$", re.M)
# How a patch applies, from best to worst
CLEAN, OFFSET, FUZZ, CONFLICT = "clean", "offset", "fuzz", "conflict"


# --- git ---------------------------------------------------------------------

def git_env(**extra):
    """Returns an environment in which git ignores the user's configuration."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", LC_ALL="C.UTF-8", **extra)
    return env


def git(*args, repo=LINUX, stdin=None, env=None):
    done = subprocess.run(["git", "-C", repo, "-c", "core.quotePath=false", *map(str, args)],
                          input=stdin, env=env or git_env(), capture_output=True)
    if done.returncode:
        die(f"git {args[0]} failed in {shown(repo)}: {first_line(done.stderr.decode())}")
    return done.stdout


def git_line(*args, **kwargs):
    return git(*args, **kwargs).decode().strip()


def first_line(text):
    return text.strip().partition("\n")[0]


def shown(path):
    """Returns a path for messages: relative to the repository if it is in it."""
    return os.path.relpath(path, TOP) if Path(path).is_relative_to(TOP) else str(path)


def split_ident(ident):
    match = re.fullmatch(r"\s*(.*?)\s*<([^<>]+)>\s*", ident)
    if not match:
        die(f"'{ident}' is not of the form 'Name <mail>'")
    return match.groups()


def commit(tree, message, parent=None, author=NOBODY, repo=LINUX):
    name, mail = split_ident(author)
    env = git_env(GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail, GIT_AUTHOR_DATE=DATE,
                  GIT_COMMITTER_NAME=name, GIT_COMMITTER_EMAIL=mail, GIT_COMMITTER_DATE=DATE)
    parents = ["-p", parent] if parent else []
    return git_line("commit-tree", tree, *parents, stdin=message.encode(), env=env, repo=repo)


def check_out(revision, source):
    """Moves another work tree of build/linux's repository to a commit. Files that do not change are
    not written, so that their objects are not rebuilt."""
    if not source.exists():
        git("worktree", "prune")
        git("worktree", "add", "--quiet", "--detach", source, revision)
    git("reset", "--hard", "--quiet", revision, repo=source)


def tree_of(revision):
    return git_line("rev-parse", f"{revision}^{{tree}}")


def root_commit(revision="HEAD"):
    roots = git_line("rev-list", "--max-parents=0", revision).split()
    if len(roots) != 1:
        die("build/linux has more than one root commit; it must have one: the base kernel")
    return roots[0]


def unpack_base():
    """Unpacks the base kernel to BASE, without git."""
    tree = tree_of(root_commit())
    if (BASE / MADE_OF).exists() and (BASE / MADE_OF).read_text() == tree:
        return
    shutil.rmtree(BASE, ignore_errors=True)
    BASE.mkdir(parents=True)
    with subprocess.Popen(["git", "-C", LINUX, "archive", tree], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", BASE], stdin=archive.stdout, check=True)
    write_file(BASE / MADE_OF, tree.encode())


class Applied(NamedTuple):
    """How a patch applied."""
    how: str                # CLEAN, OFFSET, FUZZ or CONFLICT
    where: list = []        # places that needed fuzz, or hunks that do not apply
    files: list = []        # files of the hunks that do not apply
    rejected: bytes = b""   # text of the hunks that do not apply


class Index:
    """A git index of its own, separate from the work tree, for making commits."""

    def __init__(self, revision="--empty"):
        self.dir = tempfile.TemporaryDirectory()
        self.env = git_env(GIT_INDEX_FILE=f"{self.dir.name}/index")
        git("read-tree", revision, env=self.env)

    def _apply(self, patch, *options):
        done = subprocess.run(["git", "-C", LINUX, "apply", "--cached", "--verbose",
                               "--whitespace=nowarn", *options, "-"], env=self.env,
                              input=patch.diff, capture_output=True)
        return not done.returncode, done.stderr.decode(errors="replace")

    def apply(self, patch, fuzz=True, without=(), only=(), reverse=False):
        """Applies a patch's edits, without the files in `without`, or only to the files in `only`. Allows
        a little fuzz where the context changed. If a hunk does not apply, the index does not change."""
        if not patch.diff:
            return Applied(CLEAN)
        options = [f"--exclude={path}" for path in without] + [f"--include={path}" for path in only]
        options += ["--reverse"] if reverse else []
        good, said = self._apply(patch, *options)
        if not good and fuzz:
            good, said = self._apply(patch, "-C1", *options)
        if not good:
            return self._rejected(patch, said)
        how, where, path = CLEAN, [], ""
        for line in said.splitlines():
            if checked := re.fullmatch(r"Checking patch (.+)\.\.\.", line):
                path = checked[1]
            elif re.match(r"Hunk #\d+ succeeded at ", line):
                how = OFFSET if how == CLEAN else how
            elif reduced := re.fullmatch(r"Context reduced to \(\d+/\d+\) to apply fragment at (\d+)", line):
                how = FUZZ
                where.append(f"{path} at line {reduced[1]}")
        return Applied(how, where)

    @staticmethod
    def _rejected(patch, errors):
        """Returns the hunks that do not apply. Of each file, git names only the first such hunk."""
        where, files, rejected = [], [], b""
        for path, line in re.findall(r"^error: patch failed: (.+):(\d+)$", errors, re.M):
            number, hunk = patch.hunk_at(path, int(line))
            where.append(f"hunk {number} of {path}")
            files.append(path)
            rejected += hunk
        for path in re.findall(r"^error: (.+): does not exist in index$", errors, re.M):
            where.append(f"{path}, which is not there")
            files.append(path)
        return Applied(CONFLICT, where or [first_line(errors).removeprefix("error: ")], files, rejected)

    def has(self, paths):
        return git("ls-files", "-z", "--", *paths, env=self.env).decode().split("\0")[:-1]

    def add(self, files):
        """Adds files: path -> (content, executable)."""
        lines = []
        for path, (content, executable) in files.items():
            blob = git_line("hash-object", "-w", "--no-filters", "--stdin", stdin=content)
            lines.append(f"{'100755' if executable else '100644'} {blob}\t{path}\n")
        git("update-index", "--index-info", stdin="".join(lines).encode(), env=self.env)

    def file(self, path):
        """Returns (content, executable)."""
        mode, blob, _ = git_line("ls-files", "--stage", "--", path, env=self.env).split(maxsplit=2)
        return git("cat-file", "blob", blob), mode == "100755"

    def tree(self):
        return git_line("write-tree", env=self.env)


# --- patches and the series file ---------------------------------------------

class Patch:
    """A commit's message and edits, as a mail without date and without index lines."""

    def __init__(self, subject, body, diff):
        self.subject, self.body, self.diff = subject, body, diff

    @classmethod
    def parse(cls, path):
        content = path.read_bytes()
        match = re.search(rb"^diff --git ", content, re.M)
        diff = content[match.start():] if match else b""
        text = content[:match.start() if match else None].decode()
        head, _, body = text.partition("\n\n")
        head = re.sub(r"\n[ \t]+", " ", head)
        fields = {}
        for line in head.splitlines():
            name, colon, value = line.partition(": ")
            if colon:
                fields[name] = str(email.header.make_header(email.header.decode_header(value)))
        for name in ("From", "Subject"):
            if name not in fields:
                die(f"{shown(path)}: no '{name}:' line at the top; a patch is a mail as git format-patch writes it")
        if re.search(rb"^(new file mode |rename to |copy to |--- /dev/null)", diff, re.M):
            die(f"{shown(path)}: adds a file; a new file stands whole at its own path and is named in patches/series")
        body = re.split(r"^---$", body, maxsplit=1, flags=re.M)[0]
        subject = re.sub(r"^(\[[^]]*\]\s*)+", "", fields["Subject"])
        return cls(subject, body.strip("\n"), diff)

    def message(self):
        return self.subject + "\n" + (f"\n{self.body}\n" if self.body else "")

    def content(self):
        body = f"{self.body}\n" if self.body else ""
        return f"From: {AUTHOR}\nSubject: {self.subject}\n\n{body}---\n\n".encode() + self.diff

    def edited(self):
        """Returns the files whose content or mode the patch changes."""
        return [p.decode() for p in re.findall(rb"^diff --git a/(.+) b/\1$", self.diff, re.M)]

    def hunk_at(self, path, line):
        """Returns the number and the text of the hunk that begins at a line of a file."""
        for part in re.split(rb"^(?=diff --git )", self.diff, flags=re.M):
            if not part.startswith(f"diff --git a/{path} ".encode()):
                continue
            starts = list(HUNK.finditer(part))
            for number, start in enumerate(starts, 1):
                if int(start[1]) == line:
                    end = starts[number].start() if number < len(starts) else len(part)
                    return number, part[:starts[0].start()] + part[start.start():end]
        return 0, self.diff

    def same_but_for_position(self, other):
        def bare(patch):
            return HUNK.sub(b"@@", patch.content())
        return bare(self) == bare(other)


class Topic(NamedTuple):
    """Commits that belong together. They can be taken with only the topics that they need."""
    name: str
    needs: tuple            # names of topics
    purpose: str            # one sentence

    def line(self):
        return f"# {self.name}{f' (needs {chr(32).join(self.needs)})' if self.needs else ''}: {self.purpose}"

    def cover(self):
        return PATCHES / self.name / "cover-letter.txt"


class Entry(NamedTuple):
    topic: Topic
    patch_name: str         # relative to patches/: the topic's directory and the file
    new_files: list = []

    def line(self):
        return " ".join([self.patch_name, *sorted(self.new_files)])


def read_series():
    """Reads patches/series and returns its entries."""
    entries, known, topic = [], {}, None
    for line in SERIES.read_text().splitlines() if SERIES.exists() else []:
        if line.startswith("#"):
            match = re.fullmatch(r"# (\S+)(?: \(needs ([^)]+)\))?: (.+)", line)
            if not match:
                die(f"patches/series: '{line}' names no topic: write '# NAME (needs OTHER...): what it is for'")
            topic = Topic(match[1], tuple((match[2] or "").split()), match[3])
            if unknown := [need for need in topic.needs if need not in known]:
                die(f"patches/series: topic {topic.name} needs {unknown[0]}, which is not above it")
            if topic.name in known:
                die(f"patches/series: topic {topic.name} is there twice")
            known[topic.name] = topic
        elif line.strip():
            patch_name, *new_files = line.split()
            if not topic or Path(patch_name).parts[:-1] != (topic.name,):
                die(f"patches/series: {patch_name} is not in the directory of its topic, {topic.name if topic else ''}")
            entries.append(Entry(topic, patch_name, new_files))
    return entries


def topics_of(entries):
    """Returns the topics of the entries, in the order of the series."""
    return list(dict.fromkeys(entry.topic for entry in entries))


def with_needs(entries, name):
    """Returns the entries of a topic and of all topics that it needs, directly or not."""
    topics = {topic.name: topic for topic in topics_of(entries)}
    if name not in topics:
        die(f"there is no topic {name} (there is: {' '.join(topics)})")
    needed, left = set(), [name]
    while left:
        topic = topics[left.pop()]
        needed.add(topic)
        left += topic.needs
    return [entry for entry in entries if entry.topic in needed]


def is_own(path):
    return path in OWN_FILES or path.startswith(OWN_DIRS)


def check_repository(entries):
    """Checks that each listed file exists, and that each file is listed."""
    if not entries:
        die("patches/series lists no commit")
    listed = [path for entry in entries for path in entry.new_files]
    for path in listed:
        if is_own(path) or path.startswith(("/", "../")):
            die(f"patches/series: {path} cannot be a new file of the kernel: that path is the project's own")
        if listed.count(path) > 1:
            die(f"patches/series: {path} is listed twice; a new file enters the series once")
    for path in listed + [f"patches/{entry.patch_name}" for entry in entries]:
        if not (TOP / path).is_file() or (TOP / path).is_symlink():
            die(f"patches/series lists {path}, which is not there (or is no plain file)")
    if (TOP / ".git").exists():
        tracked = git("ls-files", "-z", repo=TOP).decode().split("\0")[:-1]
        for path in tracked:
            # git still lists a file that was deleted, until the deletion is committed.
            if not is_own(path) and path not in listed and (TOP / path).exists():
                die(f"{path} is neither the project's own nor listed in patches/series: "
                    "list it with the commit that brings it")
    known = {PATCHES / entry.patch_name for entry in entries} | {topic.cover() for topic in topics_of(entries)}
    for path in PATCHES.glob("*/*"):
        if path not in known:
            die(f"{shown(path)} is not listed in patches/series: list it, or remove it")
    for topic in topics_of(entries):
        if not topic.cover().is_file():
            die(f"topic {topic.name} has no cover letter: write {shown(topic.cover())}")


def new_files_of(entry):
    return {path: ((TOP / path).read_bytes(), os.access(TOP / path, os.X_OK))
            for path in entry.new_files}


def first_forms(entries):
    """Returns the new files that later commits change, in the form in which they enter the series: path ->
    (content, executable). The repository has only the final forms. Reverting all later changes, the last
    one first, gives the first forms."""
    final = {path: content for entry in entries for path, content in new_files_of(entry).items()}
    changes = [(entry, patch, own) for entry in entries for patch in [Patch.parse(PATCHES / entry.patch_name)]
               if (own := [path for path in patch.edited() if path in final])]
    changed = {path: final[path] for _, _, own in changes for path in own}
    index = Index()
    index.add(changed)
    for entry, patch, own in reversed(changes):
        applied = index.apply(patch, fuzz=False, only=own, reverse=True)
        if applied.how == CONFLICT:
            die(f"patches/{entry.patch_name} does not match the new files: {', '.join(applied.where)} cannot be "
                "reverted; make your change in build/linux, then run `make refresh`")
    first = {path: index.file(path) for path in changed}
    for _, patch, own in changes:
        index.apply(patch, fuzz=False, only=own)
    for path in changed:
        if index.file(path) != final[path]:
            die(f"{path} is not the result of the patches that change it: "
                "make your change in build/linux, then run `make refresh`")
    return first


def series_key(source, entries):
    """Returns a hash of everything from which build/linux is made."""
    digest = hashlib.sha256(source.encode())
    for entry in entries:
        digest.update(f"\n{entry.patch_name}\n".encode() + (PATCHES / entry.patch_name).read_bytes())
        for path, (content, executable) in new_files_of(entry).items():
            digest.update(f"\n{path} {executable} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# --- the kernel source -------------------------------------------------------

class Source:
    """The source of the base kernel: a tarball, a git repository or a directory."""

    def __init__(self, given=""):
        given = given or os.environ.get("LINUX", "")
        if given:
            self.path = Path(given).absolute()
            if not self.path.exists():
                die(f"LINUX={given}: no such file or directory")
        else:
            self.path = newest_tarball()
        if self.path.is_file():
            self.kind = "tarball"
            stat = self.path.stat()
            self.id = f"{self.path.name} {stat.st_size} {int(stat.st_mtime)}"
        elif (self.path / ".git").exists():
            self.kind = "git"
            self.id = "git " + self._git("rev-parse", "HEAD")
            self.version = kernel_version(self._git("show", "HEAD:Makefile"), self.path)
        else:
            self.kind = "directory"
            makefile = self.path / "Makefile"
            self.version = kernel_version(makefile.read_text() if makefile.is_file() else "", self.path)
            self.id = f"directory {self._fingerprint()}"

    def _git(self, *args):
        # Keep the user's configuration: safe.directory in it may allow this repository.
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(["git", "-C", self.path, *args], env=env, capture_output=True, text=True)
        if done.returncode:
            die(f"cannot read the git repository {self.path}: {first_line(done.stderr)}")
        return done.stdout.strip()

    def _fingerprint(self):
        """Returns a hash of names, sizes and times of a directory's files."""
        digest = hashlib.sha256()
        for base, dirs, files in os.walk(self.path):
            dirs.sort()
            for name in sorted(files):
                stat = os.lstat(os.path.join(base, name))
                digest.update(f"{base}/{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def import_into(self, repo, work):
        """Writes this source's tree to a git repository, and returns the tree's id. `work` is a scratch
        directory. For a fresh repository, it is the repository's own work tree."""
        if self.kind == "git":
            print(f"reading {self.path} (commit {self.id[4:16]}; uncommitted changes are ignored)",
                  file=sys.stderr)
            env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
            if subprocess.run(["git", "-C", repo, "fetch", "--quiet", "--depth=1", "--no-tags",
                               self.path.as_uri(), "HEAD"], env=env).returncode:
                die(f"cannot read the git repository {self.path}")
            return git_line("rev-parse", "FETCH_HEAD^{tree}", repo=repo)

        if self.kind == "tarball":
            self._unpack(work)
            makefile = work / "Makefile"
            self.version = kernel_version(makefile.read_text() if makefile.is_file() else "", self.path)
        else:
            self._copy(work)
        unignore(work)
        env = git_env(GIT_DIR=str(repo / ".git"), GIT_WORK_TREE=str(work))
        if work != repo:
            env["GIT_INDEX_FILE"] = str(work) + ".index"
        force = ["--force"] if self.kind == "tarball" else []
        progress = Progress("recording the kernel source")
        with subprocess.Popen(["git", "add", "--verbose", "--all", *force, "."], cwd=work, env=env,
                              stdout=subprocess.PIPE) as adding:
            for count, _ in enumerate(adding.stdout, 1):
                progress.show(f"{count} files")
        if adding.returncode:
            die("git add of the kernel source failed")
        if self.kind == "directory":
            # The kernel's .gitignore ignores all dot files, even .gitignore files: add these by force.
            git("add", "--force", "--", *work.rglob(".gitignore"), repo=work, env=env)
            git("clean", "-ffdxq", repo=work, env=env)
        progress.done()
        return git_line("write-tree", repo=work, env=env)

    def _unpack(self, work):
        filters = {".xz": "--xz", ".gz": "--gzip", ".tgz": "--gzip", ".bz2": "--bzip2",
                   ".zst": "--zstd", ".tar": "--no-auto-compress"}
        if self.path.suffix not in filters:
            die(f"{self.path}: not a tarball whose name ends in .tar, .tar.xz, .tar.gz, .tar.bz2 or .tar.zst")
        size = self.path.stat().st_size
        progress = Progress(f"unpacking {self.path.name}")
        tar = subprocess.Popen(["tar", "-x", filters[self.path.suffix], "--strip-components=1", "-C", work],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            with self.path.open("rb") as tarball:
                while chunk := tarball.read(1 << 18):
                    tar.stdin.write(chunk)
                    progress.show(f"{100 * tarball.tell() // size} %")
        except BrokenPipeError:
            pass
        said = first_line(tar.communicate()[1].decode())
        if tar.returncode:
            die(f"cannot unpack {self.path}: {said or 'tar failed'}")
        progress.done()

    def _copy(self, work):
        progress = Progress(f"copying {self.path}")
        products = [f"--exclude={glob}" for glob in ("*.o", "*.a", "*.ko", "*.cmd", "./vmlinux*")]
        with subprocess.Popen(["tar", "-C", self.path, *products, "-c", "."], stdout=subprocess.PIPE) as pack:
            unpack = subprocess.run(["tar", "-x", "-C", work], stdin=pack.stdout)
        if pack.returncode or unpack.returncode:
            die(f"cannot copy {self.path}")
        progress.done()


def newest_tarball():
    def version(path):
        return [int(n) for n in re.findall(r"\d+", path.name)]
    found = sorted(Path("/usr/src").glob("linux-source-6.1*.tar.*"), key=version)
    if not found:
        die("no kernel source: run `make setup` to install linux-source-6.1, or give LINUX=/path/to/linux-6.1.y")
    return found[-1]


def kernel_version(makefile, path):
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = *(\d+)$", makefile, re.M))
    if len(fields) < 3:
        die(f"{path} is not a Linux kernel source (its Makefile names no version); give LINUX= a 6.1.y tree or tarball")
    version = "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}".format(**fields)
    if not version.startswith("6.1."):
        die(f"{path} is Linux {version}; the series is for 6.1.y: give LINUX= a 6.1.y tree or tarball")
    return version


def unignore(work):
    """Removes the lines that Debian adds to .gitignore for packaging. They ignore every file at the top, so
    that git would find no file to add."""
    ignore = work / ".gitignore"
    if ignore.is_file():
        text = ignore.read_text()
        ignore.write_text(re.sub(r"(^#[^\n]*\n)*^/\*\n!/debian/(\n|\Z)", "", text, flags=re.M))


def remove(work):
    """Removes a scratch directory of import_into(), and its index."""
    Path(f"{work}.index").unlink(missing_ok=True)
    if work.exists():
        progress = Progress(f"removing {shown(work)}")
        shutil.rmtree(work)
        progress.done()


def empty(work):
    remove(work)
    work.mkdir(parents=True)
    return work


def commit_base(source, repo, work):
    """Commits a kernel source as the root commit of the series, and returns the commit."""
    tree = source.import_into(repo, work)
    return commit(tree, f"Linux {source.version}\n\n{source.id}\n", repo=repo)


def version_of(base):
    return git_line("show", "-s", "--format=%s", base).removeprefix("Linux ")


# --- the series on a base ----------------------------------------------------

def apply_series(base, entries):
    """Makes the commits of the series, or of some topics, on a base, one after the other. Yields the
    entry, how its patch applied, and the commit. After a conflict, the commit lacks all changes to
    the files with a conflict."""
    # The first forms come from the whole series: topics that are left out may change new files, too.
    head, index, first = base, Index(base), first_forms(read_series())
    for entry in entries:
        patch = Patch.parse(PATCHES / entry.patch_name)
        applied = index.apply(patch)
        if applied.how == CONFLICT:
            index.apply(patch, without=applied.files)
        if entry.new_files:
            for path in index.has(entry.new_files):
                die(f"patches/series: {path} is listed as a new file, but Linux {version_of(base)} has it")
            index.add({path: first.get(path, final) for path, final in new_files_of(entry).items()})
        head = commit(index.tree(), patch.message(), head, AUTHOR)
        yield entry, applied, head
