"""Say what was read, what could be decrypted and why not, what is wrong, why, and what to change.

--format json and jsonl hold everything that was found; csv is one row an exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis

SUMMARY = "What happened, why, and what to change."
DEFAULT_FORMAT = Format.TABLE


def render(analysis: Analysis, options: Options) -> Iterator[str]:
    """The report in the format asked for."""
    if options.format is Format.TABLE:
        from easpcap.cli.screen import arguments_given, layout_for
        from easpcap.report.text import render_text

        return render_text(analysis, layout_for(options), arguments=arguments_given(options))
    if options.format is Format.CSV:
        from easpcap.report.table import render_csv

        return render_csv(analysis, "exchanges", bom=options.bom)
    from easpcap.report.document import render_json, render_jsonl

    return render_json(analysis) if options.format is Format.JSON else render_jsonl(analysis)
