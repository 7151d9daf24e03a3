# SPDX-License-Identifier: GPL-2.0-only
"""The suites of `make field`, and the parsers of their output.

A parser is made for each run. feed() takes a line and returns the test points that it completes, end() returns
failures for what is missing."""

import re
from typing import NamedTuple

from tests.ktap import Ktap, Point


class Suite(NamedTuple):
    name: str
    folder: str             # what scripts/field/build makes for it
    command: str            # in the guest, in that folder
    parser: type
    limit: int = 1800       # seconds
    memory: str = "2G"
    harts: int = 4


class Kselftest:
    """run_kselftest.sh prefixes the output of each program with "# ". If this output is TAP, its points count
    instead of the program's result."""

    def __init__(self):
        self.ktap = Ktap()

    def feed(self, line):
        if program := re.fullmatch(r"# selftests: \S+: (\S+)", line):
            self.ktap.suite = f"{program[1]}: "
        elif line.startswith("# "):
            return self.ktap.feed("    " + line[2:])
        else:
            points = self.ktap.feed(line)
            self.ktap.suite = ""
            return [self._named(point) for point in points]
        return []

    def end(self):
        return self.ktap.end()

    @staticmethod
    def _named(point):
        """Returns the point of a program. Its name is the same whatever the exit status."""
        name, _, said = point.name.removeprefix("selftests: ").partition(" # ")
        return Point(name, point.status, point.reason or said)


class Results:
    """For output with a line for each result: PATTERN finds the name and the result of a test, RESULTS gives its
    status, LAST is on the line that follows all tests."""
    RESULTS: dict
    PATTERN: re.Pattern
    LAST: re.Pattern

    def __init__(self):
        self.ended = False

    def feed(self, line):
        line = re.sub(r"\x1b\[[\d;]*m", "", line)
        self.ended = self.ended or bool(self.LAST.search(line))
        match = self.PATTERN.search(line)
        if not match:
            return []
        status = self.RESULTS[match["result"]]
        return [Point(match["name"].strip(), status, "" if status == "ok" else match["result"])]

    def end(self):
        return [] if self.ended else [Point("the suite ended early", "FAIL")]


class Ftracetest(Results):
    RESULTS = {"PASS": "ok", "XFAIL": "ok", "FAIL": "FAIL", "UNRESOLVED": "FAIL", "UNDEFINED": "FAIL",
               "UNTESTED": "skip", "UNSUPPORTED": "skip"}
    PATTERN = re.compile(rf"^\[\d+\](?P<name>.*)\[(?P<result>{'|'.join(RESULTS)})\]$")
    LAST = re.compile("^# of undefined")


class Vmtests(Results):
    """run_vmtests.sh names a program before it runs."""
    RESULTS = {"PASS": "ok", "FAIL": "FAIL", "SKIP": "skip"}
    PATTERN = re.compile(r"^\[(?P<result>PASS|FAIL|SKIP)\](?P<name>)$")
    LAST = re.compile("^field: end$")

    def __init__(self):
        super().__init__()
        self.running = ""

    def feed(self, line):
        if match := re.fullmatch(r"running (.+)", line):
            self.running = match[1]
            return []
        return [point._replace(name=self.running) for point in super().feed(line)]


class TestVerifier(Results):
    """The output of a program that failed follows its line. It has what the verifier said. The result of some programs
    is on a line of its own."""
    RESULTS = {"OK": "ok", "FAIL": "FAIL", "SKIP": "skip"}
    PATTERN = re.compile(r"^#\d+(?P<name>/[up] .*) (?P<result>OK|FAIL|SKIP)\b")
    LAST = re.compile(r"^Summary: \d+ PASSED")
    SAID = re.compile(r"^\s*RES: (.+)|^(misaligned .+)")

    def __init__(self):
        super().__init__()
        self.failed, self.begun = [], ""

    def feed(self, line):
        if match := re.match(r"(#\d+/[up] .*) Failed to load BTF", line):
            self.begun = match[1]
        elif self.begun and line in self.RESULTS:
            line, self.begun = f"{self.begun} {line}", ""
        points = super().feed(line)
        if self.failed and (said := self.SAID.search(line)):
            self.failed[0] = self.failed[0]._replace(reason=said[1] or said[2])
        elif not points and not self.ended:
            return []
        complete, self.failed = self.failed, [point for point in points if point.status == "FAIL"]
        return complete + [point for point in points if point.status != "FAIL"]


class TestProgs:
    """Each test is a process of its own, because a crash would end all. Its last line is "field: TEST ended STATUS".
    If a test has subtests, these count instead of it."""

    def __init__(self):
        self.ended = False
        self.points, self.said = [], ""

    def feed(self, line):
        self.ended = self.ended or line == "field: end"
        if match := re.match(r"#\d+(/\d+)? +(.+):(OK|FAIL|SKIP)$", line):
            point = Point(match[2], {"OK": "ok", "FAIL": "FAIL", "SKIP": "skip"}[match[3]])
            # After the tests, the output of those that failed is repeated.
            if point not in self.points:
                self.points.append(point)
        elif match := re.match(r"\w+:FAIL:(.+)", line):
            self.said = self.said or match[1]
        elif match := re.fullmatch(r"field: (\S+) ended (\d+)", line):
            return self._ended(match[1], int(match[2]))
        return []

    def _ended(self, test, status):
        inside = [point for point in self.points if point.name.startswith(f"{test}/")]
        points = inside or [point for point in self.points if point.name == test]
        if status and not any(point.status == "FAIL" for point in points):
            points.append(Point(test, "FAIL", f"exit status {status}"))
        points = [point._replace(reason=self.said) if point.status == "FAIL" and not point.reason else point
                  for point in points]
        self.points, self.said = [], ""
        return points

    def end(self):
        return [] if self.ended else [Point("the suite ended early", "FAIL")]


class Statuses:
    """Each program is a test: "field: PROGRAM ended STATUS" follows it."""
    SKIPPED = 4         # as in the kernel's selftests

    def __init__(self):
        self.ended = False

    def feed(self, line):
        self.ended = self.ended or line == "field: end"
        match = re.fullmatch(r"field: (\S+) ended (\d+)", line)
        if not match:
            return []
        status = int(match[2])
        result = "skip" if status == self.SKIPPED else "FAIL" if status else "ok"
        return [Point(match[1], result, f"exit status {status}" if status else "")]

    def end(self):
        return [] if self.ended else [Point("the suite ended early", "FAIL")]


def each(names, command):
    """Returns a command that runs `command` for each of the names, which is $test in it."""
    return f"for test in {names}; do {command}; echo \"field: $test ended $?\"; done; echo 'field: end'"


def kselftest(name, **more):
    return Suite(name, name, f"./run_kselftest.sh -c {name}", Kselftest, **more)


def ftracetest(folder, **more):
    # One hart: 6.1 stops all harts for each function that it begins or ends to trace.
    return Suite(f"ftrace/{folder}", "ftrace",
                 f"cd ftrace; ./ftracetest -k -l /tmp/log test.d/{folder}; tail -n 5 /tmp/log/*-*", Ftracetest,
                 harts=1, **more)


def bpf(name, command, parser, **more):
    return Suite(f"bpf/{name}", "bpf", command, parser, **more)


SUITES = [
    kselftest("seccomp"),
    kselftest("memory-hotplug"),
    kselftest("breakpoints", limit=300),
    kselftest("damon"),
    kselftest("cgroup"),
    Suite("vm", "vm", "cd vm; ./run_vmtests.sh; echo 'field: end'", Vmtests),
    *(ftracetest(folder) for folder in (
        "00basic", "direct", "dynevent", "event", "filter", "ftrace", "instances", "kprobe", "preemptirq", "selftest",
        "tracer", "trigger")),
    Suite("perf", "perf", "./perf", Statuses, limit=900, harts=2),
    bpf("test_verifier", "./test_verifier", TestVerifier),
    bpf("test_others", each("test_maps test_tag", "./$test"), Statuses),
    bpf("test_progs", each("$(./test_progs -l)", "timeout 300 ./test_progs -a $test"), TestProgs, limit=3 * 3600),
]

# Why tests fail: (suite, what matches "NAME: WHAT WAS SAID", reason), both are regular expressions
REASONS = [
    ("seccomp", r"TRACE_syscall\.ptrace\.syscall_(errno|faked)", "when a tracer sets the system call's number to -1, "
     "the entry code of 6.1 calls `sys_ni_syscall()`, and `-ENOSYS` replaces the tracer's result; the series does not "
     "change that code"),
    ("breakpoints", "step_after_suspend_test", "6.1 cannot suspend on RISC-V, so there is no /sys/power/state"),
    ("bpf/.*", "misaligned .*access", "6.1 does not declare that RISC-V accesses unaligned memory efficiently "
     "(`HAVE_EFFICIENT_UNALIGNED_ACCESS`), so the verifier refuses the program"),
    ("bpf/test_verifier", "has pointer with unsupported alu operation", "the verifier of 6.1, which the series does "
     "not change, refuses the program with a message about another register than the test expects"),
]
