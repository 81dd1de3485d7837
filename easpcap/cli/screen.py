"""What a text report depends on: the width of the screen, colour, and the arguments of the command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easpcap.cli.options import Options
    from easpcap.report.text import Layout

_PLAIN_WIDTH = 100
_TRACES_NAMED = 3


def layout_for(options: Options) -> Layout:
    """The terminal's width, and colour if it has any; 100 columns without colour elsewhere.

    NO_COLOR switches colour off (no-color.org).
    """
    from easpcap.report.text.layout import MAX_WIDTH, MIN_WIDTH, Layout

    if options.output != "-" or sys.stdout is None or not sys.stdout.isatty():
        return Layout(_PLAIN_WIDTH)
    from shutil import get_terminal_size

    width = min(max(get_terminal_size((_PLAIN_WIDTH, 24)).columns, MIN_WIDTH), MAX_WIDTH)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Layout(width, colour=not plain and _understands_ansi())


def _understands_ansi() -> bool:
    """Whether escape sequences work. On Windows, running an empty command switches them on."""
    if sys.platform == "win32":
        os.system("")  # noqa: S605, S607  # an empty command runs no program but the shell
    return True


def arguments_given(options: Options) -> str:
    """The captures and keys as a command line, for the commands that the report suggests."""
    from easpcap.report.escape import shown

    words = list(options.traces[:_TRACES_NAMED])
    words += ["..."] if len(options.traces) > _TRACES_NAMED else []
    for option, paths in (("--key", options.keys), ("--key-log", options.key_logs)):
        for path in paths:
            words += [option, path]
    if options.password_file is not None:
        words += ["--password-file", options.password_file]
    return shown(" ".join(_quoted(word) for word in words))


def _quoted(word: str) -> str:
    if sys.platform == "win32":
        return f'"{word}"' if " " in word else word
    from shlex import quote

    return quote(word)
