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
    shows_findings = section not in {"connections", "exchanges"}
    return write_analysis(options, lambda analysis: _render(analysis, options, section), shows_findings=shows_findings)


def _render(analysis: Analysis, options: Options, section: str) -> Iterator[str]:
    if options.format in {Format.CSV, Format.TABLE}:
        from easpcap.report.table import render_csv, render_table

        as_csv = options.format is Format.CSV
        return render_csv(analysis, section, bom=options.bom) if as_csv else render_table(analysis, section)
    from easpcap.report.document import render_json, render_jsonl

    as_json = options.format is Format.JSON
    return render_json(analysis, (section,)) if as_json else render_jsonl(analysis, (section,))
