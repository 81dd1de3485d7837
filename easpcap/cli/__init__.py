"""The command line: one file per command; options, exit status, output and progress are shared."""

from __future__ import annotations

import contextlib
import gc
import os
import sys


def main() -> None:
    """Run the command line; ends the process with an exit status (docs/output.md)."""
    gc.disable()  # run.py enables it again once everything is loaded
    try:
        from easpcap.cli.app import build_app

        # Passed explicitly: otherwise typer expands patterns, ~ and %NAME% in all of them on Windows.
        arguments = sys.argv[1:]
        build_app(arguments)(arguments, prog_name="easpcap")
    except KeyboardInterrupt:
        sys.exit(130)


def program() -> None:
    """Run the command line like ``main``, then end the process without shutting the interpreter down.

    Everything is written by then. Freeing every result and module would take a tenth of the time of a small capture.
    """
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(end.code)
