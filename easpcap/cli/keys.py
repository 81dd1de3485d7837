"""Say for every server which certificate it presents, which key matches, what can be decrypted, and what to do next.

Run it before an analysis, or when something is not decrypted. --format csv has one row per server and certificate.
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
    """Write the report on keys and return the exit status.

    It is written even if no key file can be used (exit status 2), because it says which key is needed instead.
    """
    return write_analysis(options, lambda analysis: _render(analysis, options), even_without_usable_key=True)


def _render(analysis: Analysis, options: Options) -> Iterator[str]:
    """Servers, certificates and keys in the requested format."""
    from easpcap.advice.preflight import preflight

    found = preflight(analysis)
    if options.format is Format.TABLE:
        from easpcap.cli.screen import arguments_given, layout_for
        from easpcap.report.text.keys import render_keys_text

        return render_keys_text(analysis, found, layout_for(options), arguments=arguments_given(options))
    from easpcap.report import server_rows

    if options.format is Format.CSV:
        from easpcap.report.table import csv_pieces

        return csv_pieces(server_rows.csv_rows(found), server_rows.CSV_COLUMNS, bom=options.bom)
    from easpcap.report.document import json_pieces, jsonl_pieces

    write = json_pieces if options.format is Format.JSON else jsonl_pieces
    return write(server_rows.SCHEMA, server_rows.sections(analysis, found), server_rows.summary(found))


COMMAND = Command("Which key is needed, which one matches, and why something is not decrypted.", Options, run)
