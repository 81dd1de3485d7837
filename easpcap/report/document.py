"""JSON and JSON lines, written piece by piece: no document is ever held as one text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from easpcap.report.rows import SCHEMA, Row, section_rows, summary_row, tool_row
from easpcap.report.timeline import timeline_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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
}
INSPECT_SECTIONS = ("inputs", "keys", "connections", "exchanges", "findings", "anomalies")


@cache
def _encoder() -> Callable[[object], str]:
    """ASCII only: whatever reads it, no control or bidirectional character from the wire reaches a screen."""
    import json

    return json.JSONEncoder(ensure_ascii=True, separators=(", ", ": "), allow_nan=False).encode


def _encode(value: object) -> str:
    return _encoder()(value)


def render_json(analysis: Analysis, sections: Sequence[str] = INSPECT_SECTIONS) -> Iterator[str]:
    """One JSON object with the named sections, one row a line; the whole of ``inspect`` ends in a summary."""
    yield f'{{"schema": {_encode(SCHEMA)},\n"tool": {_encode(tool_row())}'
    for section in sections:
        yield f",\n{_encode(section)}: ["
        yield from _separated(_rows(analysis, section))
        yield "]"
    if len(sections) > 1:
        yield f',\n"summary": {_encode(summary_row(analysis))}'
    yield "}\n"


def render_jsonl(analysis: Analysis, sections: Sequence[str] = INSPECT_SECTIONS) -> Iterator[str]:
    """The same rows, one a line, each with its ``type``."""
    for section in sections:
        kind = SECTION_TYPES[section]
        for row in _rows(analysis, section):
            yield _encode({"type": kind, **row}) + "\n"
    if len(sections) > 1:
        summary = {"type": "summary", "schema": SCHEMA, "tool": tool_row(), **summary_row(analysis)}
        yield _encode(summary) + "\n"


def _rows(analysis: Analysis, section: str) -> Iterable[Row]:
    if section == "timeline":
        return ({**row, "offset_s": float(row["offset_s"])} for row in timeline_rows(analysis))
    return section_rows(analysis, section)


def _separated(rows: Iterable[Row]) -> Iterator[str]:
    separator = "\n"
    for row in rows:
        yield separator + _encode(row)
        separator = ",\n"
