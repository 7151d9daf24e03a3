# SPDX-License-Identifier: GPL-2.0-only
"""Turns KTAP, as guest programs and the kernel's KUnit print it, into test points.

The kunit_parser.py of 6.1 does not replace this file. It does not know the lines of skipped points that
kselftest.h prints ("ok 3 # SKIP no"). It ignores "Bail out!" and points beyond the plan, and it accepts
output without a plan."""

import re
from typing import NamedTuple

PLAN = re.compile(r"( *)1\.\.(\d+)")
POINT = re.compile(r"( *)(not )?ok (\d+)(?: -)? ?(.*?)(?:\s*# (SKIP)\b\s*(.*))?$")
SUBTEST = re.compile(r" *# Subtest: (.*)")


class Point(NamedTuple):
    name: str
    status: str         # "ok", "FAIL" or "skip"
    reason: str = ""


class Ktap:
    """Takes lines, and returns test points. Points that were planned but did not run are failures."""

    def __init__(self):
        self.plans = {}         # by indentation, as is seen
        self.seen = {}
        self.failed_inside = False
        self.suite = ""

    def feed(self, line):
        """Returns the points that a line completes: its own, and failures for missing points before it."""
        if line.startswith("Bail out!"):
            return [Point(line, "FAIL")]
        if match := SUBTEST.fullmatch(line):
            self.suite = match[1] + ": "
        elif match := PLAN.fullmatch(line):
            self.plans[len(match[1])] = int(match[2])
        elif match := POINT.fullmatch(line):
            return self._point(len(match[1]), match)
        return []

    def end(self):
        """Returns failures for the points that are missing at the end."""
        if 0 not in self.plans:
            return [Point("no plan was printed", "FAIL")]
        return self._missing(0)

    def _missing(self, indent):
        """Returns failures for the points missing at this indentation and deeper. These levels end here."""
        missing = []
        for level in [level for level in self.plans.keys() | self.seen.keys() if level >= indent]:
            seen = self.seen.pop(level, 0)
            count = self.plans.pop(level, seen) - seen      # 6.1 plans no parameters
            missing += [Point(f"{self.suite}planned and not run", "FAIL")] * count
            if count < 0:
                missing.append(Point(f"{self.suite}{-count} more than planned", "FAIL"))
        return missing

    def _point(self, indent, match):
        status = "FAIL" if match[2] else "skip" if match[5] else "ok"
        nested = any(level > indent for level in self.plans.keys() | self.seen.keys())
        points = self._missing(indent + 1)
        self.seen[indent] = self.seen.get(indent, 0) + 1
        if nested:
            # The line is the result of a whole suite, whose points have been counted.
            if status == "FAIL" and not self.failed_inside and not points:
                points.append(Point(match[4], "FAIL"))
            self.failed_inside = False
            self.suite = ""
        else:
            self.failed_inside |= bool(indent) and status == "FAIL"
            name = (self.suite if indent else "") + match[4]
            points.append(Point(name.strip(), status, match[6] or ""))
        return points
