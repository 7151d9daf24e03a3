# SPDX-License-Identifier: GPL-2.0-only
"""What `make field` reads from the output of suites, keeps, and writes in its table."""

from field import run, suites
from field.suites import Suite
from tests.ktap import Point


def parsed(parser, text):
    """Returns the results of a parser as a dictionary: name -> status, and the reasons."""
    points = [point for line in text.splitlines() for point in parser.feed(line)] + parser.end()
    assert len(points) == len({point.name for point in points}), "each test counts once"
    reasons = {point.name: point.reason for point in points if point.reason}
    return {point.name: point.status for point in points}, reasons


def test_kselftest():
    """The points inside a program's output count instead of the program. Without them, the program is a point."""
    status, reasons = parsed(suites.Kselftest(), """\
TAP version 13
1..4
# selftests: seccomp: seccomp_bpf
# TAP version 13
# 1..3
# # Starting 3 tests from 1 test cases.
# ok 1 global.kcmp
# not ok 2 global.mode_strict_support
# ok 3 # SKIP no such mode
# # FAILED: 2 / 3 tests passed.
not ok 1 selftests: seccomp: seccomp_bpf # exit=1
# selftests: seccomp: quiet
# some words
ok 2 selftests: seccomp: quiet
# selftests: seccomp: bad
not ok 3 selftests: seccomp: bad # exit=139
""")
    assert status == {"seccomp_bpf: global.kcmp": "ok", "seccomp_bpf: global.mode_strict_support": "FAIL",
                      "seccomp_bpf:": "skip", "seccomp: quiet": "ok", "seccomp: bad": "FAIL",
                      "planned and not run": "FAIL"}
    assert reasons == {"seccomp_bpf:": "no such mode", "seccomp: bad": "exit=139"}


def test_ftracetest():
    status, reasons = parsed(suites.Ftracetest(), """\
=== Ftrace unit tests ===
[1] Basic trace file check\t[\x1b[32mPASS\x1b[0m]
[2] (instance)  Change the ringbuffer size\t[FAIL]
[3] Test ftrace direct functions\t[UNSUPPORTED]
# of passed:  1
# of undefined(test bug):  0
""")
    assert status == {"Basic trace file check": "ok", "(instance)  Change the ringbuffer size": "FAIL",
                      "Test ftrace direct functions": "skip"}
    assert reasons["Test ftrace direct functions"] == "UNSUPPORTED"
    assert parsed(suites.Ftracetest(), "[1] one\t[PASS]")[0] == {"one": "ok", "the suite ended early": "FAIL"}


def test_vmtests():
    status, _ = parsed(suites.Vmtests(), """\
running ./hugepage-mmap
-----------------------
First hex is 0
[PASS]
running sudo -u nobody ./on-fault-limit
[FAIL]
field: end
""")
    assert status == {"./hugepage-mmap": "ok", "sudo -u nobody ./on-fault-limit": "FAIL"}


def test_bpf():
    """test_progs: subtests count instead of their test; a test that ends early has failed; what is printed again after
    the tests counts once."""
    status, reasons = parsed(suites.TestProgs(), """\
#1/1     align/mov:OK
#1/2     align/shift:SKIP
#1       align:OK (SKIP: 1/2)
field: align ended 0
test_attach:FAIL:skel_open unexpected error: -524
#2/1     attach/one:FAIL
#2       attach:FAIL
All error logs:
#2/1     attach/one:FAIL
field: attach ended 1
field: crash ended 139
field: end
""")
    assert status == {"align/mov": "ok", "align/shift": "skip", "attach/one": "FAIL", "crash": "FAIL"}
    assert reasons == {"attach/one": "skel_open unexpected error: -524", "crash": "exit status 139"}
    status, reasons = parsed(suites.TestVerifier(), """\
#0/u add+sub+mul OK
#0/p add+sub+mul FAIL
Failed to load prog 'Permission denied'!
misaligned packet access off 0 size 2
verification time 1619 usec
#1/p atomic FAIL
#2/p bounds FAIL
\tRES: R0 invalid
#3/p const SKIP
#4/u lock Failed to load BTF spec: 'Operation not permitted'
OK
#4/p last FAIL
Summary: 2 PASSED, 1 SKIPPED, 4 FAILED
""")
    assert status == {"/u add+sub+mul": "ok", "/p add+sub+mul": "FAIL", "/p atomic": "FAIL", "/p bounds": "FAIL",
                      "/p const": "skip", "/u lock": "ok", "/p last": "FAIL"}
    assert reasons["/p bounds"] == "R0 invalid" and reasons["/p atomic"] == "FAIL"
    assert reasons["/p add+sub+mul"] == "misaligned packet access off 0 size 2"


def test_statuses():
    status, _ = parsed(suites.Statuses(), "field: vm ended 0\nfield: module ended 4\nfield: fork ended 2\n")
    assert status == {"vm": "ok", "module": "skip", "fork": "FAIL", "the suite ended early": "FAIL"}


def test_kept(tmp_path, monkeypatch):
    """A suite runs once on a kernel, and again when its programs have changed."""
    boots = []

    def run_suite(kernel, suite, _progress):
        boots.append(kernel.name)
        return ["1..2", "ok 1 a", "not ok 2 b"], ["WARNING: CPU: 1"], None

    monkeypatch.setattr(run, "FIELD", tmp_path)
    monkeypatch.setattr(run, "ROOT", tmp_path / "root")
    monkeypatch.setattr(run, "run_suite", run_suite)
    monkeypatch.setattr(run.Kernel, "image", property(lambda kernel: kernel.out / "Image"))
    monkeypatch.setattr(run.Kernel, "modules", property(lambda kernel: kernel.out))
    kernel, suite = run.Kernel("series", tmp_path), Suite("s", "programs", "true", suites.Kselftest)
    assert run.results_of(kernel, suite, "progress") is None, "nothing is built"
    for name in "Image", "root":
        (tmp_path / name).write_text(name)
    (tmp_path / "programs").mkdir()
    monkeypatch.setattr(run.Kernel, "modules", property(lambda kernel: kernel.out / "programs"))
    assert run.results_of(kernel, suite) is None, "it was not run"
    first = run.results_of(kernel, suite, "progress")
    assert run.results_of(kernel, suite, "progress") == run.results_of(kernel, suite) == first and len(boots) == 1
    assert [point.status for point in first] == ["ok", "FAIL", "FAIL"] and first[-1].reason == "WARNING: CPU: 1"
    (tmp_path / "programs/one").write_text("one")
    assert run.results_of(kernel, suite) is None
    run.results_of(kernel, suite, "progress")
    assert len(boots) == 2


def test_lost():
    """A guest that is gone is a failure, and a suite without tests. Points of one name are told apart."""
    suite = Suite("s", "", "", suites.Kselftest)
    points = run.points_of(suite, ["1..3", "ok 1 a", "ok 2 a"], [], "no answer")
    assert [point[:2] for point in points] == [("a", "ok"), ("a (2)", "ok"), ("the guest is gone", "FAIL")]
    assert run.points_of(suite, ["1..0"], [], None)[0] == Point("no test has run", "FAIL")


def test_table():
    """The table has what was run, names each difference from the base, and never shows what was not run as passed."""
    one, two = (Suite(name, name, "", suites.Kselftest) for name in ("one", "two"))
    text = run.document({one: [[Point("a", "ok"), Point("b", "FAIL", "no")], [Point("a", "skip"), Point("b", "FAIL")]],
                         two: [[Point("c", "ok")], None]})
    assert "| one | 2 | 1 | 1 | 0 | 2 | 0 | 1 | 1 |" in text
    assert "| two | 1 | 1 | 0 | 0 | not run |  |  |  |" in text
    assert "- one: `a`: ok with the series, skip without it" in text and "`c`" not in text
    assert "- one: `b`: no" in text
