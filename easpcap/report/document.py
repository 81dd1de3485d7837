"""JSON and JSON lines, in pieces: the whole document is never in memory as one text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from easpcap.report.rows import SCHEMA, Row, section_rows, summary_row, tool_row
from easpcap.report.timeline import timeline_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from easpcap.results import Analysis

#: Sections in the order of the document, and the ``type`` of their rows in JSON lines.
SECTION_TYPES = {
    "inputs": "input",
    "keys": "key",
    "connections": "connection",
    "exchanges": "exchange",
    "findings": "finding",
    "anomalies": "anomaly",
    "timeline": "entry",
    "servers": "server",
    "comparisons": "comparison",
}
INSPECT_SECTIONS = ("inputs", "keys", "connections", "exchanges", "findings", "anomalies")


@cache
def _encoder() -> Callable[[object], str]:
    """ASCII only, so that no control or bidirectional character from the wire reaches a terminal."""
    import json

    return json.JSONEncoder(ensure_ascii=True, separators=(", ", ": "), allow_nan=False).encode


def _encode(value: object) -> str:
    return _encoder()(value)


def render_json(analysis: Analysis, sections: Sequence[str] = INSPECT_SECTIONS) -> Iterator[str]:
    """One JSON object with the named sections, one row per line; with several sections also a summary."""
    rows = {section: _rows(analysis, section) for section in sections}
    return json_pieces(SCHEMA, rows, summary_row(analysis) if len(sections) > 1 else None)


def json_pieces(schema: str, sections: Mapping[str, Iterable[Row]], summary: Row | None) -> Iterator[str]:
    """A document of any schema: the name of the schema, the program, the sections, the summary."""
    yield f'{{"schema": {_encode(schema)},\n"tool": {_encode(tool_row())}'
    for section, rows in sections.items():
        yield f",\n{_encode(section)}: ["
        yield from _separated(rows)
        yield "]"
    if summary is not None:
        yield f',\n"summary": {_encode(summary)}'
    yield "}\n"


def render_jsonl(analysis: Analysis, sections: Sequence[str] = INSPECT_SECTIONS) -> Iterator[str]:
    """The same rows, one per line, each with its ``type``."""
    rows = {section: _rows(analysis, section) for section in sections}
    return jsonl_pieces(SCHEMA, rows, summary_row(analysis) if len(sections) > 1 else None)


def jsonl_pieces(schema: str, sections: Mapping[str, Iterable[Row]], summary: Row | None) -> Iterator[str]:
    """The rows of any schema; the summary row names the schema."""
    for section, rows in sections.items():
        kind = SECTION_TYPES[section]
        for row in rows:
            yield _encode({"type": kind, **row}) + "\n"
    if summary is not None:
        yield _encode({"type": "summary", "schema": schema, "tool": tool_row(), **summary}) + "\n"


def _rows(analysis: Analysis, section: str) -> Iterable[Row]:
    if section == "timeline":
        return ({**row, "offset_s": float(row["offset_s"])} for row in timeline_rows(analysis))
    return section_rows(analysis, section)


def _separated(rows: Iterable[Row]) -> Iterator[str]:
    separator = "\n"
    for row in rows:
        yield separator + _encode(row)
        separator = ",\n"
