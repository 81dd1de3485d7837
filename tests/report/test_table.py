"""CSV by RFC 4180 and tables for the screen."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap.report.columns import CSV_COLUMNS, TABLE_COLUMNS
from easpcap.report.escape import cell
from easpcap.report.table import _csv_lines, render_csv, render_table
from tests.report import builders


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("section", ["connections", "exchanges", "findings", "timeline"])
def test_csv_has_crlf_a_header_and_as_many_cells_in_each_row(section):
    text = "".join(render_csv(builders.incident(), section))
    assert text.count("\n") == text.count("\r\n")
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(table[0]) == CSV_COLUMNS[section]
    assert {len(row) for row in table} == {len(CSV_COLUMNS[section])}
    assert len(table) > 1


def test_unknown_is_empty_and_zero_is_zero():
    lone = read("".join(render_csv(builders.incident(), "exchanges")))[1]
    assert lone["request.method"] == ""
    assert lone["response.content_length"] == "0"
    assert lone["response.complete"] == "true"


def test_texts_from_the_wire_are_escaped_and_numbers_are_exempt():
    hostile = read("".join(render_csv(builders.incident(), "exchanges")))[3]
    assert hostile["request.target"].startswith("/x?\\x1b[31mred\\u202e")
    assert hostile["activesync.user"].startswith("'\\x1b")
    assert "\x1b" not in "".join(hostile.values())


def test_lists_are_numbers_with_blanks_or_json():
    finding = read("".join(render_csv(builders.incident(), "findings")))[0]
    assert finding["connections"] == "2"
    assert finding["evidence"].startswith('[{"input": "trace.pcap", "frame": 58')


@given(
    st.lists(
        st.none() | st.integers() | st.text(alphabet='a,=+-@"\r\n\t\x1b\xa0é ', max_size=4), min_size=2, max_size=5
    )
)
def test_lines_are_those_of_the_csv_module_whatever_is_in_the_cells(values):
    columns = [f"c{place}" for place in range(len(values))]
    (line,) = _csv_lines([dict(zip(columns, values, strict=True))], columns)
    expected = io.StringIO()
    csv.writer(expected).writerow(cell(value) if isinstance(value, str) else value for value in values)
    assert line + "\r\n" == expected.getvalue()


def test_a_negative_offset_is_a_number_and_not_a_formula():
    (line,) = _csv_lines([{"offset_s": "-0.5", "detail": "-x"}], ("offset_s", "detail"))
    assert line == "-0.5,'-x"


def test_csv_begins_with_a_byte_order_mark_on_request_only():
    assert "".join(render_csv(builders.quiet(), "timeline", bom=True)).startswith("\ufefftime,")
    assert "".join(render_csv(builders.quiet(), "timeline")).startswith("time,")


def test_many_rows_come_in_pieces_and_none_is_lost():
    pieces = list(render_csv(builders.many(1000), "exchanges"))
    assert len(pieces) > 1
    assert len(read("".join(pieces))) == 1000


@pytest.mark.parametrize("section", ["connections", "exchanges", "findings", "timeline"])
def test_a_table_has_the_column_names_of_the_json(section):
    lines = "".join(render_table(builders.incident(), section)).splitlines()
    assert lines[0].split() == list(TABLE_COLUMNS[section])
    assert set(TABLE_COLUMNS[section]) <= set(CSV_COLUMNS[section])
    assert "\x1b" not in "\n".join(lines)


def test_an_empty_table_says_so():
    assert "".join(render_table(builders.quiet(), "findings")) == "no findings\n"


def test_the_findings_table_reads_well(golden):
    golden("findings.txt", "".join(render_table(builders.incident(), "findings")))
    golden("exchanges.txt", "".join(render_table(builders.incident(), "exchanges")))


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(1)"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_formula_gets_its_apostrophe_in_every_cell(formula, place):
    values = ["a", "b", "c"]
    values[place] = formula
    (line,) = _csv_lines([dict(zip("xyz", values, strict=True))], "xyz")
    assert line.split(",")[place] == "'" + formula


def test_the_columns_of_connections_keep_their_order():
    names = CSV_COLUMNS["connections"]
    assert names[10:14] == (
        "payload_bytes.to_server",
        "payload_bytes.to_client",
        "gaps.to_server",
        "gaps.to_client",
    )
    row = read("".join(render_csv(builders.incident(), "connections")))[2]
    assert (row["payload_bytes.to_server"], row["payload_bytes.to_client"]) == ("115900", "2400")
