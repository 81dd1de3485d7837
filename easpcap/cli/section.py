"""Writes one section of the results in any format: the body of every command that prints one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis


def render_section(analysis: Analysis, options: Options, section: str) -> Iterator[str]:
    """The rows of ``section`` in the format asked for."""
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
