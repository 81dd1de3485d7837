# ruff: noqa: INP001 - a script for continuous integration, not part of a package
"""Fails if a module of easpcap is longer than 400 lines.

A module over the limit usually serves two purposes. Tables of data do not count; they are listed here by name.
"""

from __future__ import annotations

import sys
from pathlib import Path

MOST_LINES = 400

#: Modules that consist of one long table.
TABLES = frozenset(
    {
        "easpcap/activesync/code_pages.py",
        "easpcap/tls/suites/suite.py",
    }
)


def main() -> int:
    """Name every module that is too long; 1 if there is one."""
    root = Path(__file__).resolve().parent.parent
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((root / "easpcap").rglob("*.py"))
    }
    too_long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in TABLES}
    for name, lines in too_long.items():
        sys.stderr.write(f"{name}: {lines} lines, at most {MOST_LINES}: split it by purpose\n")
    return 1 if too_long else 0


if __name__ == "__main__":
    raise SystemExit(main())
