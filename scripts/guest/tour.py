# SPDX-License-Identifier: GPL-2.0-only
"""Shows a tour of a guest: sections with real output. On a terminal it ends in a shell. Elsewhere it
powers off, and the exit status says whether every section succeeded."""

import re
import sys

from guest.vm import GuestError
from lib import die


def check(good, what):
    """Fails the section with a message unless `good`."""
    if not good:
        raise GuestError(what)


def show(guest, command):
    """Runs a command, and shows the command and its output. Returns the output without colours."""
    print(f"$ {command}")
    text = guest.output(command)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if text:
        print(text if sys.stdout.isatty() else plain)
    return plain


def take(guest, sections):
    """Runs the sections, which are (title, function). Returns the titles of those that failed."""
    failed = []
    for number, (title, section) in enumerate(sections, 1):
        print(f"\n== {number}. {title}\n", flush=True)
        try:
            section(guest)
        except GuestError as error:
            failed.append(title)
            print(f"FAILED: {error}", flush=True)
            if guest.lost:
                raise
    return failed


def tour(guest, sections, farewell):
    """Shows the sections. Then prints farewell and leaves the guest to the user, or powers it off."""
    failed = take(guest, sections)
    person = sys.stdin.isatty() and sys.stdout.isatty()
    if not person:
        guest.power_off()
    if guest.faults:
        failed.append("a quiet console")
        print(f"\nFAILED: the kernel complained: {guest.faults[0]}")
    if person:
        print(farewell)
        guest.interact()
    print(f"\n{guest.met()}\n" if guest.weak_counts else "")
    if failed:
        die(f"failed: {', '.join(failed)}; the console is in {guest.log}")
    print(f"All {len(sections)} sections succeeded.")


def run(main):
    """Calls main(). If the guest fails, shows the last lines of its console and one line with the reason."""
    try:
        main()
    except GuestError as error:
        for line in error.console:
            print(f"| {line}")
        die(str(error))
    except KeyboardInterrupt:
        die("interrupted")
