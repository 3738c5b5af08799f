#!/usr/bin/env python3
"""Turns CHANGELOG.md, on standard input, into the form that Debian's tools read; the argument signs the entries.

The newest has the date of SOURCE_DATE_EPOCH, each other one a day less: CHANGELOG.md has no dates.
"""

import email.utils
import os
import re
import sys
import textwrap


def main():
    newest = int(os.environ["SOURCE_DATE_EPOCH"])
    _, *sections = re.split(r"^## ", sys.stdin.read(), flags=re.MULTILINE)
    for age, section in enumerate(sections):
        version, _, rest = section.partition("\n")
        print(f"campaign-exporter ({version.strip()}) unstable; urgency=medium\n")
        for entry in re.split(r"^\* ", rest, flags=re.MULTILINE)[1:]:
            print(textwrap.fill(entry, 78, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False))
        print(f"\n -- {sys.argv[1]}  {email.utils.formatdate(newest - age * 86400)}\n")


if __name__ == "__main__":
    main()
