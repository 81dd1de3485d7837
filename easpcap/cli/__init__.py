"""The command line: one file a command; options, exit status, output and progress are shared."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with an exit status (docs/output.md)."""
    try:
        from easpcap.cli.app import build_app

        # The arguments are passed on, or typer would expand patterns, ~ and %NAME% in all of them on Windows.
        build_app()(sys.argv[1:], prog_name="easpcap")
    except KeyboardInterrupt:
        sys.exit(130)
