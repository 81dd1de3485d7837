"""Rows as CSV (RFC 4180) and as aligned tables: the JSON fields, with dotted names for nested ones."""

from __future__ import annotations

from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from easpcap.report.columns import CSV_COLUMNS, TABLE_COLUMNS
from easpcap.report.escape import cell, is_plain_line, shortened, shown
from easpcap.report.rows import section_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from easpcap.report.rows import Row
    from easpcap.results import Analysis

_BOM = "\ufeff"
_LINE_END = "\r\n"
_ROWS_A_PIECE = 256

#: Columns whose numbers are kept as text, for exact decimals; a leading minus does not make them a formula.
_NUMERIC_TEXTS = frozenset({"offset_s"})

#: Longer texts are cut in tables; CSV and JSON have them in full.
_TABLE_CELL_WIDTH = 60


def _flattener(columns: Sequence[str]) -> Callable[[Row], list[Any]]:
    """A function that returns the values of dotted ``columns``; None where the object of a column is missing.

    Neighbouring columns of one object are read with one call.
    """
    steps = []
    for parent, group in groupby((column.rpartition(".") for column in columns), key=itemgetter(0)):
        names = [name for _, _, name in group]
        steps.append((parent.split(".") if parent else (), _values_of(names), (None,) * len(names)))

    def flatten(row: Row) -> list[Any]:
        values: list[Any] = []
        for path, values_of, missing in steps:
            part: Any = row
            for name in path:
                part = part[name] if part is not None else None
            values += values_of(part) if part is not None else missing
        return values

    return flatten


def _values_of(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    (name,) = names  # itemgetter with one name returns the value, not a tuple
    return lambda part: (part[name],)


def render_csv(analysis: Analysis, section: str, *, bom: bool = False) -> Iterator[str]:
    """A header row, then one line per row, each ended by CRLF; an empty cell means unknown."""
    return csv_pieces(_rows(analysis, section), CSV_COLUMNS[section], bom=bom)


def csv_pieces(rows: Iterable[Row], columns: Sequence[str], *, bom: bool = False) -> Iterator[str]:
    """The dotted ``columns`` of any rows as CSV."""
    yield (_BOM if bom else "") + ",".join(columns) + _LINE_END
    lines = _csv_lines(rows, columns)
    while piece := list(islice(lines, _ROWS_A_PIECE)):
        piece.append("")
        yield _LINE_END.join(piece)


def _csv_lines(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[str]:
    """One line per row. Most rows need no escaping, so the joined line is checked before the single cells."""
    flatten = _flattener(columns)
    commas = len(columns) - 1
    for row in rows:
        values = flatten(row)
        texts = [v if isinstance(v, str) else "" if v is None else _csv_text(v) for v in values]
        line = ",".join(texts)
        if not is_plain_line(line):
            yield ",".join(map(_csv_cell, values, columns))
        elif line.count(",") == commas:
            yield line
        else:
            yield ",".join([f'"{text}"' if "," in text else text for text in texts])


def _csv_cell(value: object, column: str) -> str:
    exempt = column in _NUMERIC_TEXTS or not isinstance(value, str)
    text = _csv_text(value) if exempt else cell(str(value))
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def _csv_text(value: object) -> str:
    """Texts as they are, numbers and booleans as in JSON, lists of numbers separated by blanks, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return " ".join(map(str, value))
    import json

    return json.dumps(value, ensure_ascii=True)


def render_table(analysis: Analysis, section: str) -> Iterator[str]:
    """The columns in TABLE_COLUMNS, aligned."""
    from tabulate import tabulate

    columns = TABLE_COLUMNS[section]
    flatten = _flattener(columns)
    cells = [[_table_value(v) for v in flatten(row)] for row in _rows(analysis, section)]
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
    text = value if isinstance(value, str) else _csv_text(value)
    return shortened(shown(text), _TABLE_CELL_WIDTH)


def _rows(analysis: Analysis, section: str) -> Iterable[Row]:
    if section == "timeline":
        from easpcap.report.timeline import timeline_rows

        return timeline_rows(analysis)
    return section_rows(analysis, section)
