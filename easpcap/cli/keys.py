"""Say for every server which certificate it shows, which key fits it, what can be decrypted, and what to do next.

Run it before an analysis, or when something does not decrypt. --format csv is one row a server and certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis

SUMMARY = "Which key is needed, which fits, and why something is not decrypted."
DEFAULT_FORMAT = Format.TABLE

#: Written even where no key file can be used (exit status 2): which key is needed instead is what was asked.
TELLS_OF_KEYS = True


def render(analysis: Analysis, options: Options) -> Iterator[str]:
    """Servers, certificates and keys in the format asked for."""
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
