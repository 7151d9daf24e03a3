#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests, each file of scripts/tests in a process of its own, one after the other.

test.py [--all] [FILE...]: without files, all of them. --all is what `make test-all` runs:
tests that `make test` has no time for, and skips.

The guests of one file keep two processors busy: with two files at a time, tests ran into their
limits. What a file prints comes when it is done; the last lines are how long each took, and the
sum: "N passed, M failed".
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib import BUILD, TOP, Progress, die, write_file

TESTS = TOP / "scripts/tests"
# How long each file took when it was last run: the longest begins.
TIMES = BUILD / "test-times.json"
# Before there is such a file
LONGEST = ["test_debug", "test_modules", "test_virtio_mem", "test_device_memory", "test_rv32", "test_users",
           "test_hotplug", "test_suites", "test_hotremove"]
SIDE_BY_SIDE = 1


class Run:
    """The tests of a file."""

    def __init__(self, path, environment):
        self.path = path
        self.start = time.monotonic()
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(["/usr/bin/python3", "-B", "-m", "pytest", path], cwd=TOP, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def end(self):
        """Print what it said; returns how many have passed, failed and were skipped."""
        self.seconds = time.monotonic() - self.start
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        counts = re.search(r"(?:\n(\d+) skipped\n)?\n(\d+) passed, (\d+) failed\s*\Z", text)
        print(text[:counts.start()].strip("\n") if counts else text, end="\n\n", flush=True)
        skipped, passed, failed = (int(count or 0) for count in counts.groups()) if counts else (0, 0, 0)
        if self.process.returncode and not failed:
            print(f"  FAIL  {self.path.name}: pytest ended with {self.process.returncode}\n", flush=True)
            failed = 1
        return passed, failed, skipped


def duration(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def main():
    arguments = sys.argv[1:]
    everything = "--all" in arguments
    files = [Path(name).resolve() for name in arguments if name != "--all"] or sorted(TESTS.glob("test_*.py"))
    for path in files:
        if not path.is_file():
            die(f"there is no {path}: give files of scripts/tests, or none")
    environment = {**os.environ, "TEST_ALL": "1" if everything else ""}
    times = json.loads(TIMES.read_text()) if TIMES.exists() else {}

    def length(path):
        return times.get(path.stem, 1000 - LONGEST.index(path.stem) if path.stem in LONGEST else 0)

    waiting = sorted(files, key=length, reverse=True)
    running, taken, total = [], {}, [0, 0, 0]
    progress = Progress("testing")
    try:
        while waiting or running:
            while waiting and len(running) < SIDE_BY_SIDE:
                running.append(Run(waiting.pop(0), environment))
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                total = [sum(pair) for pair in zip(total, run.end())]
                taken[run.path.stem] = run.seconds
            progress.show(f"{' and '.join(run.path.stem for run in running)}, {len(waiting)} files wait")
            time.sleep(0.1)
    except KeyboardInterrupt:
        for run in running:
            run.process.wait()
            run.end()
        die("interrupted")
    write_file(TIMES, json.dumps({**times, **{name: round(seconds) for name, seconds in taken.items()}}).encode())
    print("Minutes that each file took:")
    for name, seconds in sorted(taken.items(), key=lambda pair: -pair[1]):
        print(f"  {duration(seconds):>6}  {name}")
    passed, failed, skipped = total
    if skipped:
        print(f"\n{skipped} skipped")
    print(f"\n{passed} passed, {failed} failed")
    sys.exit(bool(failed or not passed))


if __name__ == "__main__":
    main()
