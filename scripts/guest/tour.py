# SPDX-License-Identifier: GPL-2.0-only
"""What a tour of a guest is made of: sections with real output, then a shell on a
terminal; elsewhere it powers off, and the exit status says whether all succeeded."""

import re
import sys

from guest.vm import GuestError
from lib import die


def check(good, what):
    """A section fails with a line that says what is not as it should be."""
    if not good:
        raise GuestError(what)


def show(guest, command):
    """Run a command as a person would type it, and show what it prints."""
    print(f"$ {command}")
    text = guest.output(command)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if text:
        print(text if sys.stdout.isatty() else plain)
    return plain


def take(guest, sections):
    """Each section is a title and a function; returns what failed."""
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
    """Show the sections; then say farewell and leave the guest to a person, or power it off."""
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
    print()
    if failed:
        die(f"failed: {', '.join(failed)}; the console is in {guest.log}")
    print(f"All {len(sections)} sections succeeded.")


def run(main):
    """main(), where what goes wrong is one line behind the console's last ones."""
    try:
        main()
    except GuestError as error:
        for line in error.console:
            print(f"| {line}")
        die(str(error))
    except KeyboardInterrupt:
        die("interrupted")
