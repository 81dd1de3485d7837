"""Runs the commands that print one table: writes one section of the results in any format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format
from easpcap.cli.run import write_analysis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis


def run_section(options: Options, section: str) -> int:
    """Write the rows of ``section`` and return the exit status."""
    return write_analysis(options, lambda analysis: _render(analysis, options, section))


def _render(analysis: Analysis, options: Options, section: str) -> Iterator[str]:
    from easpcap.report import document, table

    match options.format:
        case Format.JSON:
            return document.render_json(analysis, (section,))
        case Format.JSONL:
            return document.render_jsonl(analysis, (section,))
        case Format.CSV:
            return table.render_csv(analysis, section, bom=options.bom)
        case Format.TABLE:
            return table.render_table(analysis, section)
