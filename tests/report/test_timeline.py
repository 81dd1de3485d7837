"""The timeline: columns, order, and the details of each event."""

from __future__ import annotations

from pathlib import Path

import pytest

from easpcap import facts
from easpcap.pipeline import analyze
from easpcap.report.columns import CSV_COLUMNS
from easpcap.report.table import render_csv
from easpcap.report.timeline import timeline_rows
from easpcap.results import Analysis, Fact, InputFile
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.report import builders
from tests.report.builders import HANDSHAKE_DONE, SERVER_HELLO, at, client_hello

CONTRACT = (
    "time,offset_s,capture,frame,connection,exchange,source,event,direction,client,server,method,target,command,"
    "device_id,device_type,user,status,body_bytes,content_length,detail"
)


def events(analysis: Analysis, connection: int | None = None) -> list[str]:
    rows = timeline_rows(analysis)
    return [row["event"] for row in rows if connection is None or row["connection"] == connection]


def test_the_columns_are_those_of_the_contract():
    assert ",".join(CSV_COLUMNS["timeline"]) == CONTRACT


def test_the_deadlock_reads_from_the_first_packet_to_the_last():
    assert events(builders.incident(), 2) == [
        "tcp-open",
        "client-hello",
        "handshake-done",
        "request-head",
        "hello-request",
        "zero-window",
        "alert",
        "fin",
        "command-abandoned",
        "finding",
        "finding",
    ]


def test_a_hello_request_says_how_much_of_the_body_was_sent_and_received():
    row = next(row for row in timeline_rows(builders.incident()) if row["event"] == "hello-request")
    assert row["detail"] == "the server had 49,152 body bytes, the client had sent 114,688"
    assert (row["body_bytes"], row["content_length"], row["exchange"]) == (49_152, 1_261_440, 2)
    assert (row["command"], row["device_id"], row["direction"]) == ("SendMail", "APPL1234", "to_client")


def test_an_event_outside_the_list_is_left_out():
    analysis = builders.quiet()
    analysis.connections[0].facts.append(Fact(facts.MissingBytes(1460), TO_SERVER, at(9, 0.01)))
    assert "gap" not in events(analysis)


def test_within_a_connection_causal_order_takes_precedence_over_time():
    """The server's Finished stands before the client's hello in the file; the stamps know better."""
    analysis = builders.quiet()
    analysis.connections[0].exchanges.clear()
    analysis.connections[0].facts[:] = [
        Fact(HANDSHAKE_DONE, TO_CLIENT, at(2, 0.001, stamp=20)),
        Fact(client_hello(), TO_SERVER, at(4, 0.003, stamp=10)),
        Fact(facts.Fin(), TO_SERVER, at(3, 0.002, stamp=30)),
    ]
    assert events(analysis, 0) == ["client-hello", "handshake-done", "fin"]


def test_between_connections_the_running_maximum_of_time_decides():
    one, two = builders.connection(0, at(1, 0.0), at(9, 9.0)), builders.connection(1, at(2, 1.0), at(8, 8.0))
    one.facts[:] = [
        Fact(facts.TcpOpen(), TO_SERVER, at(1, 0.0, stamp=1)),
        Fact(client_hello(), TO_SERVER, at(5, 5.0, stamp=2)),
        Fact(SERVER_HELLO, TO_CLIENT, at(3, 3.0, stamp=3)),  # clock runs back: stays behind the hello
    ]
    two.facts[:] = [Fact(facts.TcpOpen(), TO_SERVER, at(2, 1.0)), Fact(facts.Rst(), TO_SERVER, at(6, 6.0))]
    analysis = Analysis([], [], [one, two], [], {})
    assert [(row["connection"], row["event"]) for row in timeline_rows(analysis)] == [
        (0, "tcp-open"),
        (1, "tcp-open"),
        (0, "client-hello"),
        (0, "server-hello"),
        (1, "rst"),
    ]


def test_messages_in_one_segment_are_ordered_by_exchange():
    analysis = builders.many(2)
    connection = analysis.connections[0]
    for exchange in connection.exchanges:  # pipelined: both requests in one segment
        exchange.request.first = exchange.request.last = at(10, 0.0)
    assert [(row["exchange"], row["event"]) for row in timeline_rows(analysis)][:4] == [
        (0, "request-head"),
        (0, "request-complete"),
        (1, "request-head"),
        (1, "request-complete"),
    ]


def test_an_abandoned_request_that_is_not_activesync_has_no_command_row():
    analysis = builders.incident()
    analysis.commands.clear()
    assert "command-abandoned" not in events(analysis)


def test_an_open_connection_ends_with_the_capture():
    rows = [row for row in timeline_rows(builders.incident()) if row["event"] == "capture-end"]
    assert [row["connection"] for row in rows] == [1, None]
    assert rows[1]["frame"] == 412


def test_rows_name_the_capture_they_come_from():
    analysis = builders.incident()
    analysis.inputs = [
        builders.input_file("a.pcap", packets=100),
        builders.input_file("b.pcap", packets=312, first=101),
    ]
    by_frame = {row["frame"]: row["capture"] for row in timeline_rows(analysis)}
    assert (by_frame[58], by_frame[113]) == ("a.pcap", "b.pcap")


def test_offsets_count_from_the_first_packet_and_are_never_negative():
    analysis = builders.quiet()
    analysis.connections[0].facts[0].position = at(1, -0.25)  # a clock that ran back
    rows = list(timeline_rows(analysis))
    assert "-0.25" not in "".join(render_csv(analysis, "timeline"))
    assert next(row["offset_s"] for row in rows if row["frame"] == 1) is None


def test_the_incident_as_csv(golden):
    golden("timeline.csv", "".join(render_csv(builders.incident(), "timeline")))


def test_a_finished_renegotiation_is_distinguished_from_the_first_handshake():
    captures = Path(__file__).parents[2] / "fixtures"
    path = captures / "captures" / "renegotiation-mid-body-ok.pcap"
    analysis = analyze([str(path)], keys=[str(captures / "keys" / "server.pem")])
    done = [row for row in timeline_rows(analysis) if row["event"].endswith("-done")]
    assert [row["event"] for row in done] == ["handshake-done", "renegotiation-done"]
    assert done[1]["detail"] == "full, client certificate presented"
    assert done[1]["exchange"] is not None


def test_a_late_response_to_an_abandoned_command_is_mentioned():
    analysis = builders.incident()
    analysis.exchanges[2].too_late = True
    row = next(row for row in timeline_rows(analysis) if row["event"] == "command-abandoned")
    assert row["detail"] == "abandoned-by-server, server-fin; the response came too late"


@pytest.mark.parametrize(
    ("truncated", "detail"),
    [(True, "the capture is truncated: its last packet is incomplete"), (False, "the capture ends")],
)
def test_the_end_of_a_capture_says_whether_it_is_truncated(truncated, detail):
    analysis = builders.quiet()
    analysis.inputs = [builders.input_file(truncated=truncated)]
    assert list(timeline_rows(analysis))[-1]["detail"] == detail


def test_offsets_count_from_the_first_connection_if_no_capture_has_a_time():
    analysis = builders.quiet()
    analysis.inputs = []
    assert next(timeline_rows(analysis))["offset_s"] == "0.000000000"


def test_at_equal_times_the_frame_decides_between_connections():
    one, two = builders.connection(0, at(1, 1.0), at(9, 1.0)), builders.connection(1, at(2, 1.0), at(8, 1.0))
    one.facts[:] = [Fact(facts.TcpOpen(), TO_SERVER, at(1, 1.0)), Fact(facts.Fin(), TO_SERVER, at(9, 1.0))]
    two.facts[:] = [Fact(facts.TcpOpen(), TO_SERVER, at(2, 1.0)), Fact(facts.Fin(), TO_SERVER, at(8, 1.0))]
    assert [row["frame"] for row in timeline_rows(Analysis([], [], [one, two], [], {}))] == [1, 2, 8, 9]


def test_a_ring_buffer_ends_once_and_every_truncated_file_of_it_is_named():
    analysis = builders.incident()
    ends = [(100, True), (200, False), (300, False)]
    analysis.inputs = [
        InputFile(f"{n}", "", "pcap", [], 100, builders.START, builders.START + s * builders.SECOND, cut, 1 + 100 * n)
        for n, (s, cut) in enumerate(ends)
    ]
    found = [row for row in timeline_rows(analysis) if row["event"] == "capture-end" and row["connection"] is None]
    assert [(row["capture"], row["frame"]) for row in found] == [("0", 100), ("2", 300)]
