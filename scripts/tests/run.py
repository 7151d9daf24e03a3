#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests, each file of scripts/tests in its own process, two at a time.

run.py [--all] [FILE...]: without files, runs all files. The docstring of a file says what its tests
cover. With --all, as in `make test-all`, it also runs the tests with the mark test_all, for which
`make test` has no time:

- without the cache: all modules, test_bpf, ftracetest, a thousand cycles, BPF trampolines, a full
  window of BPF programs; and each tracer both with and without the cache, where `make test` has one of each
- a kernel for one hart; 66 harts; all modules with lockdep and full preemption; test_bpf on 32-bit;
  hmm-tests with Sv48; virtio-mem with Sv39
- the tracers and BPF trampolines with rodata=off, and on a locked-down kernel
- all functions traced by the graph tracer, and while programs use probes and BPF trampolines; kexec while all
  functions are traced
- the function tracer's own tests at boot; the cases of ftracetest that use neither it nor probes
- the kernel at the lowest, at the highest and at a random address in all paging modes; random addresses with
  KASAN, tracers, kexec and crash dumps
- in the weak machine: two minutes of random load with half of what is stale fresh; Linux 6.1 without the
  series
- on the debug kernel: persistent memory, unmapped free pages (debug_pagealloc=on), and processes
  that are older than a mapping that they use; memory that is lost, and memory errors; refused modules
- eight blocks that are lost at once; pages that a disk reads, and the PGD of a process, in memory that is lost;
  memory that is lost while other memory is being taken offline

Two files run at a time: most guests keep one processor busy, or wait. The output of a file appears
when the file is done. The last lines are the time of each file and of the last build of each kernel,
the failures, and the sum: "N passed, M failed".
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from lib import BUILD, TOP, Progress, die

TESTS = TOP / "scripts/tests"
AT_A_TIME = 2


class Run:
    """The run of one file."""

    def __init__(self, path, environment):
        self.path = path
        self.start = time.monotonic()
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(["/usr/bin/python3", "-B", "-m", "pytest", path], cwd=TOP, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def end(self):
        """Prints the output, keeps the failures, and returns the numbers of passed, failed and skipped."""
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
        self.failures = re.findall(r"^  FAIL  (.*)", text, re.MULTILINE) or ["see above"] * bool(failed)
        return passed, failed, skipped


def build_times():
    """Returns the seconds that the last build of each kernel took. It may have found most objects in ccache."""
    stamps = {path.parent.name: json.loads(path.read_text()) for path in (BUILD / "out").glob("*/.built.json")}
    return {name: stamp["seconds"] for name, stamp in stamps.items() if "seconds" in stamp}


def print_times(title, taken):
    """Prints a table of name -> seconds, the longest first."""
    print(title)
    for name, seconds in sorted(taken.items(), key=lambda pair: -pair[1]):
        print(f"  {int(seconds) // 60:>3}:{int(seconds) % 60:02d}  {name}")


def main():
    arguments = sys.argv[1:]
    everything = "--all" in arguments
    files = [Path(name).resolve() for name in arguments if name != "--all"] or sorted(TESTS.glob("test_*.py"))
    for path in files:
        if not path.is_file():
            die(f"there is no {path}: give files of scripts/tests, or none")
    environment = {**os.environ, "TEST_ALL": "1" if everything else ""}
    taken, total, failures = {}, [0, 0, 0], []
    progress = Progress("testing")
    waiting, running = list(files), []
    try:
        while waiting or running:
            while waiting and len(running) < AT_A_TIME:
                running.append(Run(waiting.pop(0), environment))
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                total = [sum(pair) for pair in zip(total, run.end())]
                taken[run.path.stem] = run.seconds
                failures += [f"{run.path.stem}: {line}" for line in run.failures]
            progress.show(f"{', '.join(run.path.stem for run in running)}; {len(waiting)} files wait")
            time.sleep(0.1)
    except KeyboardInterrupt:
        for run in running:
            run.process.wait()
            run.end()
        die("interrupted")
    print_times("Minutes that each file took:", taken)
    if built := build_times():
        print_times("\nMinutes that the last build of each kernel took:", built)
    passed, failed, skipped = total
    if failures:
        print("\nFailed:", *failures, sep="\n  ")
    if skipped:
        print(f"\n{skipped} skipped")
    print(f"\n{passed} passed, {failed} failed")
    sys.exit(bool(failed or not passed))


if __name__ == "__main__":
    main()
