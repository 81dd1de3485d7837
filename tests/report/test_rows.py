"""Names, nesting and null rules of the JSON rows."""

from __future__ import annotations

from easpcap.http.exchange import Exchange
from easpcap.report import rows
from easpcap.report.columns import CSV_COLUMNS
from easpcap.report.table import csv_pieces
from easpcap.report.times import rfc3339
from tests.report import builders


def leaves(row: dict, prefix: str = "") -> set[str]:
    """Dotted names of all fields that are no objects themselves."""
    found: set[str] = set()
    for name, value in row.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def test_times_are_rfc_3339_with_nine_decimals_and_exact():
    assert rfc3339(1_289_861_221_123_456_789) == "2010-11-15T22:47:01.123456789Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"
    assert rfc3339(None) is None


def test_a_time_at_the_edge_of_its_column_is_still_a_time():
    assert rfc3339(2**63 - 1).startswith("2262-04-11T")
    assert rfc3339(-(2**63)).startswith("1677-09-21T")


def test_a_frame_is_cited_with_its_capture_and_its_number_there():
    inputs = [builders.input_file("b.pcap", packets=10, first=6), builders.input_file("a.pcap", packets=5, first=1)]
    citer = rows.Citer(inputs)
    assert citer.cite(1) == ("a.pcap", 1)
    assert citer.cite(5) == ("a.pcap", 5)
    assert citer.cite(6) == ("b.pcap", 1)
    assert citer.cite(None) == (None, None)


def test_an_empty_capture_is_never_cited():
    inputs = [builders.input_file("empty.pcap", packets=0, first=6), builders.input_file("b.pcap", packets=10, first=6)]
    assert rows.Citer(inputs).cite(6) == ("b.pcap", 1)


def test_unknown_is_null_and_never_empty():
    analysis = builders.incident()
    response = next(rows.section_rows(analysis, "exchanges"))["response"]
    assert response["reason"] == "OK"
    lone = list(rows.section_rows(analysis, "exchanges"))[1]
    assert lone["request"] is None
    assert lone["response"]["reason"] is None
    assert lone["activesync"] is None
    assert list(rows.section_rows(analysis, "keys"))[2]["fingerprint"] is None


def test_a_renegotiation_says_at_which_byte_of_which_body_it_began():
    stuck = list(rows.section_rows(builders.incident(), "connections"))[2]
    assert stuck["tls"]["renegotiations"] == [
        {
            "by": "server",
            "frame": 113,
            "time": "2010-11-15T22:47:12.143000000Z",
            "exchange": 2,
            "body_offset_sent": 114_688,
            "body_offset_acknowledged": 49_152,
            "body_offset_sent_most": None,
            "body_offset_acknowledged_most": None,
            "outcome": "unanswered",
            "certificate_requested": False,
            "certificate_presented": None,
        }
    ]


def test_the_summary_counts_what_the_sections_list():
    summary = rows.summary_row(builders.incident())
    assert summary["findings"] == {"critical": 1, "warning": 1, "notice": 0}
    assert summary["decryption"] == {"decrypted": 2, "opaque": 1, "plaintext": 1}
    assert [cause["rule"] for cause in summary["causes"]] == ["renegotiation-deadlock", "command-abandoned"]


def test_csv_has_exactly_one_column_for_every_field():
    analysis = builders.incident()
    for section in ("connections", "exchanges", "findings"):
        fields: set[str] = set()
        objects: set[str] = set()
        for row in rows.section_rows(analysis, section):
            fields |= leaves(row)
        columns = set(CSV_COLUMNS[section])
        objects = {name for name in fields if any(column.startswith(name + ".") for column in columns)}
        assert fields - objects == columns  # an object that is null in one row is a leaf there


def test_the_columns_of_a_missing_object_are_unknown():
    header, row = "".join(csv_pieces([{"tls": None, "a": {"b": 1}}], ("tls.version", "a.b"))).splitlines()
    assert (header, row) == ("tls.version,a.b", ",1")


def test_a_path_that_is_not_utf_8_is_escaped():
    assert rows.path_text("tr\udcffce.pcap") == "tr\\xffce.pcap"


def test_a_status_line_without_a_number_has_an_unknown_status():
    analysis = builders.incident()
    exchange = next(e for e in analysis.exchanges if e.response is not None)
    exchange.response.status = 0
    assert rows.exchange_row(exchange, None)["response"]["status"] is None


def test_the_stream_of_an_http2_exchange_is_shown():
    assert rows.exchange_row(Exchange(3, 0, stream=5), None)["stream"] == 5
    assert rows.exchange_row(Exchange(3, 0), None)["stream"] is None


def test_a_message_with_lost_bytes_is_not_complete():
    analysis = builders.quiet()
    response = analysis.exchanges[0].response
    assert rows.exchange_row(analysis.exchanges[0], None)["response"]["complete"] is True
    response.missing = 1
    assert rows.exchange_row(analysis.exchanges[0], None)["response"]["complete"] is False


def test_a_message_without_an_end_is_not_complete():
    analysis = builders.quiet()
    analysis.exchanges[0].request.end_offset = None
    assert rows.exchange_row(analysis.exchanges[0], None)["request"]["complete"] is False


def test_the_connections_of_a_key_are_in_ascending_order():
    assert rows.key_row(builders.key_file(matches=[2, 0, 1]))["matches"] == [0, 1, 2]


def test_an_instant_in_the_first_second_of_1970_keeps_its_nine_decimals():
    assert rfc3339(5) == "1970-01-01T00:00:00.000000005Z"
    assert rfc3339(1_000_000_000) == "1970-01-01T00:00:01.000000000Z"
