"""Say what was read, what could be decrypted and why not the rest, what is wrong, why, and what to change.

--format json and jsonl contain everything that was found; csv has one row per exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.command import Command
from easpcap.cli.options import Format, Options
from easpcap.cli.run import write_analysis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.results import Analysis


def run(options: Options) -> int:
    """Write the report and return the exit status."""
    return write_analysis(options, lambda analysis: _render(analysis, options))


def _render(analysis: Analysis, options: Options) -> Iterator[str]:
    match options.format:
        case Format.TABLE:
            from easpcap.cli.screen import arguments_given, layout_for
            from easpcap.report.text import render_text

            return render_text(analysis, layout_for(options), arguments=arguments_given(options))
        case Format.CSV:
            from easpcap.report.table import render_csv

            return render_csv(analysis, "exchanges", bom=options.bom)
        case Format.JSON | Format.JSONL:
            from easpcap.report.document import render_json, render_jsonl

            return render_json(analysis) if options.format is Format.JSON else render_jsonl(analysis)


COMMAND = Command("What happened, why, and what to change.", Options, run)
