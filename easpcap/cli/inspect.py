"""Say what was read, what could be decrypted and why not, what is wrong, why, and what to change.

--format json and jsonl hold everything that was found; csv is one row an exchange.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.report.text import Layout
    from easpcap.results import Analysis

SUMMARY = "What happened, why, and what to change."
DEFAULT_FORMAT = Format.TABLE
_PLAIN_WIDTH = 100
_TRACES_NAMED = 3


def render(analysis: Analysis, options: Options) -> Iterator[str]:
    """The report in the format asked for."""
    if options.format is Format.TABLE:
        from easpcap.report.text import render_text

        return render_text(analysis, _layout(options), arguments=_arguments(options))
    if options.format is Format.CSV:
        from easpcap.report.table import render_csv

        return render_csv(analysis, "exchanges", bom=options.bom)
    from easpcap.report.document import render_json, render_jsonl

    return render_json(analysis) if options.format is Format.JSON else render_jsonl(analysis)


def _layout(options: Options) -> Layout:
    """As wide as the terminal, in colour where it has one; plain everywhere else (NO_COLOR: see no-color.org)."""
    from easpcap.report.text.layout import MAX_WIDTH, MIN_WIDTH, Layout

    if options.output != "-" or sys.stdout is None or not sys.stdout.isatty():
        return Layout(_PLAIN_WIDTH)
    from shutil import get_terminal_size

    width = min(max(get_terminal_size((_PLAIN_WIDTH, 24)).columns, MIN_WIDTH), MAX_WIDTH)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Layout(width, colour=not plain and _understands_ansi())


def _understands_ansi() -> bool:
    """Whether escape sequences work; on Windows they must be switched on, which an empty command does."""
    if sys.platform == "win32":
        os.system("")  # noqa: S605, S607  # starts nothing but the shell that enables them
    return True


def _arguments(options: Options) -> str:
    """Captures and keys as they were given, for the commands that the report names."""
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
