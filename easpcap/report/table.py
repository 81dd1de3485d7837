"""Rows as CSV (RFC 4180) and as tables: the fields of the JSON, flattened with dots."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from easpcap.report.columns import CSV_COLUMNS, TABLE_COLUMNS
from easpcap.report.escape import cell, shortened, shown
from easpcap.report.rows import section_rows
from easpcap.report.timeline import timeline_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from easpcap.report.rows import Row
    from easpcap.results import Analysis

_BOM = "\ufeff"
_ROWS_A_PIECE = 256

#: Numbers that are kept as text for their exact decimals; a minus in front of them begins no formula.
_NUMERIC_TEXTS = frozenset({"offset_s"})

#: Longer texts would push a table beyond every screen; CSV and JSON have them whole.
_TABLE_CELL_WIDTH = 60


def flattened(row: Row, columns: Sequence[str]) -> list[Any]:
    """The values of dotted ``columns``; None where any part of the way is missing."""
    values = []
    for column in columns:
        value: Any = row
        for name in column.split("."):
            value = value.get(name) if value is not None else None
        values.append(value)
    return values


def render_csv(analysis: Analysis, section: str, *, bom: bool = False) -> Iterator[str]:
    """A header row and one row each, lines ended by CRLF; empty means unknown."""
    columns = CSV_COLUMNS[section]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(_BOM if bom else "")
    writer.writerow(columns)
    for number, row in enumerate(_rows(analysis, section)):
        writer.writerow(
            value if column in _NUMERIC_TEXTS else _csv_value(value)
            for column, value in zip(columns, flattened(row, columns), strict=True)
        )
        if number % _ROWS_A_PIECE == _ROWS_A_PIECE - 1:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _csv_value(value: object) -> str:
    """Numbers and truth values as in JSON, texts escaped, lists of numbers by blanks, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return cell(value)
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return " ".join(map(str, value))
    return json.dumps(value, ensure_ascii=True)


def render_table(analysis: Analysis, section: str) -> Iterator[str]:
    """The columns that are read most, aligned."""
    from tabulate import tabulate

    columns = TABLE_COLUMNS[section]
    cells = [[_table_value(v) for v in flattened(row, columns)] for row in _rows(analysis, section)]
    if not cells:
        yield f"no {section}\n"
        return
    align = ["left" if any(isinstance(v, str) for v in column) else "right" for column in zip(*cells, strict=True)]
    texts = [["-" if v is None else str(v) for v in row] for row in cells]
    table = tabulate(texts, headers=list(columns), tablefmt="plain", colalign=align, disable_numparse=True)
    yield from (line.rstrip() + "\n" for line in table.splitlines())


def _table_value(value: object) -> str | int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    text = value if isinstance(value, str) else _csv_value(value)
    return shortened(shown(text), _TABLE_CELL_WIDTH)


def _rows(analysis: Analysis, section: str) -> Iterable[Row]:
    return timeline_rows(analysis) if section == "timeline" else section_rows(analysis, section)
