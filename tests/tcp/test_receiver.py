"""Only what its receiver takes counts: RST, SYN, FIN and data outside the window, padding, repeated bytes.

RFC 9293 section 3.10.7.4 and RFC 5961 say what a receiver takes. The capture shows it by what goes on afterwards.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from easpcap import limits
from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tcp.reset import UNKNOWN, Standing, standing
from easpcap.tcp.segment import UNKNOWN_SCALE, window_scale
from tests.support.batches import CLIENT, SERVER, Packet, Script

SECOND = 10**9
WINDOW = 64240  # of every packet of a Script
NO_OPERATION, SCALE_7, MSS = b"\x01", b"\x03\x03\x07", b"\x02\x04\x05\xb4"


def talk() -> Script:
    """A connection in which the client has sent a request."""
    return Script().handshake().send(0, b"request").put(1)


def answered(script: Script) -> Script:
    return script.send(1, b"answer").put(0)


def one(events):
    (only,) = events.values()
    return only


def codes(events) -> list[str]:
    return [anomaly.code for anomaly in events.connection.anomalies]


def bodies(events) -> tuple[bytes, bytes]:
    return bytes(events.data[0]), bytes(events.data[1])


# ---------------------------------------------------------------------- RST


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (99, Standing.OUTSIDE),  # acknowledged long ago
        (100, Standing.EXACT),
        (150, Standing.EXACT),  # what was sent may have arrived, or not
        (200, Standing.EXACT),
        (201, Standing.INSIDE),
        (1000, Standing.INSIDE),
        (1001, Standing.OUTSIDE),
    ],
)
def test_the_standing_of_a_rst_by_its_number(offset, expected):
    assert standing(offset, acked=100, sent=200, limit=1000) is expected


def test_without_a_known_window_no_later_number_is_outside_of_it():
    assert standing(10**8, acked=0, sent=0, limit=UNKNOWN) is Standing.INSIDE


@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize("distance", [-1, WINDOW + 1, 400_000_000])
def test_a_rst_outside_the_window_changes_nothing(read, sender, distance):
    script = talk()
    script.put(sender, RST, seq=script.next[sender] + distance)
    events = one(read(answered(script).fin(1).fin(0).packets))
    assert bodies(events) == (b"request", b"answer")
    assert events.facts() == ["tcp-open", "fin", "fin"]
    assert events.connection.closed_by == "server-fin"
    assert codes(events) == ["tcp-reset-ignored"]


def test_a_rst_in_the_window_is_challenged_and_does_not_count_if_its_sender_goes_on(read):
    script = talk()
    script.put(1, RST, seq=script.next[1] + 1000).put(0)
    events = one(read(answered(script).packets))
    assert bodies(events) == (b"request", b"answer")
    assert events.ends == ["capture-end", "capture-end"]
    assert (events.connection.gaps, events.connection.closed_by) == ([0, 0], "open")
    assert codes(events) == ["tcp-reset-ignored"]


def test_a_rst_in_the_window_after_which_nothing_comes_shows_what_is_missing(read):
    script = talk()
    script.put(1, RST, seq=script.next[1] + 117)
    events = one(read(script.packets))
    assert events.gaps[TO_CLIENT] == [(0, 117)]
    assert events.ends == ["reset-by-peer", "rst"]
    assert events.connection.closed_by == "server-rst"


def test_a_rst_before_the_bytes_that_its_number_counts_waits_for_them(read):
    script = answered(talk())
    answer, acknowledgement = script.packets[-2:]
    reset = replace(answer, flags=RST, payload=b"", seq=script.next[1])
    events = one(read([*script.packets[:-2], reset, answer, acknowledgement]))
    assert bodies(events) == (b"request", b"answer")
    assert events.facts() == ["tcp-open", "rst"]
    assert events.story[-3][:3] == ("rst", TO_CLIENT, 6)


def test_a_rst_with_the_next_number_is_taken_back_if_its_receiver_acknowledges_later_bytes(read):
    script = talk()
    script.put(1, RST)
    events = one(read(answered(script).fin(1).fin(0).packets))
    assert bodies(events) == (b"request", b"answer")
    assert events.facts() == ["tcp-open", "rst", "rst-ignored", "fin", "fin"]
    assert events.connection.closed_by == "server-fin"
    assert codes(events) == ["tcp-reset-ignored"]


def test_a_rst_is_taken_back_if_its_sender_acknowledges_what_was_sent_after_it(read):
    script = talk()
    script.put(1, RST).send(0, b" goes on").put(1)
    events = one(read(script.packets))
    assert bodies(events) == (b"request goes on", b"")
    assert events.facts() == ["tcp-open", "rst", "rst-ignored"]
    assert events.ends == ["capture-end", "capture-end"]


def test_what_was_sent_before_a_rst_and_captured_after_it_does_not_refute_it(read):
    script = talk().put(1, RST).send(0, b" more").put(1)
    early = script.packets[-3].time_ns or len(script.packets) - 2
    script.packets[-1] = replace(script.packets[-1], time_ns=early)
    events = one(read(script.packets))
    assert events.connection.closed_by == "server-rst"


def test_bytes_after_a_rst_that_nobody_acknowledges_are_dropped(read):
    script = talk()
    script.put(1, RST).send(1, b"ghost")
    events = one(read(script.packets))
    assert bodies(events) == (b"request", b"")
    assert codes(events) == ["tcp-data-after-close"]


def test_what_is_kept_after_a_rst_is_bounded(read, monkeypatch):
    monkeypatch.setattr("easpcap.tcp.reset.MAX_PARKED_SEGMENTS", 3)
    script = talk().put(1, RST)
    for _ in range(9):
        script.send(1, b"12345")
    events = one(read(script.put(0).packets))
    assert len(events.data[1]) == 15
    assert events.gaps[1] == [(15, 30)]


def test_a_rst_while_only_the_syn_was_seen_ends_an_older_connection(read):
    """The port is reused: the server still knows the older connection and challenges the SYN (RFC 5961 section 4.2)."""
    script = Script()
    opening = [
        Packet(CLIENT, SERVER, 1000, 0, SYN),
        Packet(SERVER, CLIENT, 3_000_000_000, 2_000_000_000, ACK),
        Packet(CLIENT, SERVER, 2_000_000_000, 0, RST),
    ]
    events = one(read([*opening, *answered(script.handshake().send(0, b"request").put(1)).packets]))
    assert bodies(events) == (b"request", b"answer")
    assert events.facts() == ["tcp-open"]
    assert codes(events) == ["tcp-out-of-window"] * 2
    assert events.connection.gaps == [0, 0]


# ---------------------------------------------------------------------- SYN


def test_a_syn_in_an_open_connection_whose_sender_goes_on_opens_nothing(read):
    script = talk()
    script.put(0, SYN, seq=77_000_000, ack=0).put(1)
    events = one(read(answered(script.send(0, b" goes on").put(1)).packets))
    assert bodies(events) == (b"request goes on", b"answer")
    assert events.connection.packets == 11
    assert codes(events) == ["tcp-syn-ignored"]


def test_a_challenged_syn_that_is_repeated_after_a_rst_opens_the_next_connection(read):
    old, new = talk(), Script(isn=(77_000_000, 5))
    old.put(0, SYN, seq=77_000_000, ack=0).put(1).rst(0)
    events = read([*old.packets, *answered(new.handshake().send(0, b"again").put(1)).packets])
    assert [bodies(each) for each in events.values()] == [(b"request", b""), (b"again", b"answer")]
    assert [each.connection.closed_by for each in events.values()] == ["client-rst", "open"]
    assert events[1].connection.first.frame == 6  # the first SYN


def test_a_refused_syn_in_an_open_connection_is_a_connection_of_its_own(read):
    script = talk().put(0, SYN, seq=77_000_000, ack=0)
    script.put(1, RST | ACK, seq=0, ack=77_000_001)
    events = read(script.packets)
    assert [each.connection.closed_by for each in events.values()] == ["open", "server-rst"]


def test_a_syn_in_a_connection_of_which_one_side_was_captured_opens_another(read):
    first, second = talk(), Script(isn=(77_000_000, 5)).handshake().send(0, b"again")
    packets = [packet for packet in [*first.packets, *second.packets] if packet.src == CLIENT]
    assert [bytes(each.data[0]) for each in read(packets).values()] == [b"request", b"again"]


def test_a_syn_that_nobody_answered_is_told_at_the_end(read):
    events = read(talk().put(0, SYN, seq=77_000_000, ack=0).packets)
    assert [each.facts() for each in events.values()] == [["tcp-open"], ["tcp-open"]]


def test_a_syn_ack_of_another_connection_does_not_count(read):
    script = talk()
    script.put(1, SYN | ACK, seq=99)
    events = one(read(answered(script).packets))
    assert bodies(events) == (b"request", b"answer")
    assert codes(events) == ["tcp-out-of-window"]


# ---------------------------------------------------------------------- data and FIN ahead of the window


def test_bytes_beyond_the_window_are_no_gap_and_no_data(read):
    script = talk()
    script.put(0, ACK, b"GET /phantom", seq=script.next[0] + WINDOW + 1)
    events = one(read(answered(script.send(0, b" ends").put(1)).packets))
    assert bodies(events) == (b"request ends", b"answer")
    assert events.connection.gaps == [0, 0]
    assert codes(events) == ["tcp-out-of-window"]


def test_a_fin_beyond_the_window_does_not_close(read):
    script = talk()
    script.put(1, FIN | ACK, seq=script.next[1] + 500_000)
    events = one(read(answered(script).fin(1).packets))
    assert (bodies(events), events.gaps[1]) == ((b"request", b"answer"), [])
    assert events.ends == ["capture-end", "fin"]
    assert codes(events) == ["tcp-out-of-window"]


def test_bytes_beyond_the_window_count_once_they_are_acknowledged(read):
    """The capture lost packets for a while: the window moved on unseen."""
    script = talk()
    script.next[0] += 300_000
    script.send(0, b"after the loss").put(1)
    events = one(read(script.packets))
    assert events.gaps[0] == [(7, 300_000)]
    assert bodies(events)[0] == b"requestafter the loss"


def test_the_window_is_scaled_as_both_syns_say(read):
    script = Script()
    script.put(0, SYN, seq=1000, ack=0, options=MSS + NO_OPERATION + SCALE_7)
    script.put(1, SYN | ACK, seq=70_000, options=NO_OPERATION + SCALE_7).put(0).put(1)
    script.next[0] += 500_000  # in the window of 64,240 * 128 bytes
    events = one(read(script.send(0, b"far").packets))
    assert (bytes(events.data[0]), events.gaps[0]) == (b"far", [(0, 500_000)])


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        (b"", None),
        (MSS, None),
        (MSS + NO_OPERATION + SCALE_7, 7),
        (b"\x03\x03\xff", 14),
        (b"\x00" + SCALE_7, None),  # after the end of the list
        (b"\x02\x00" + SCALE_7, None),  # a length that leads nowhere
        (b"\x03", None),
        (b"\x03\x03", None),
        (None, UNKNOWN_SCALE),
    ],
)
def test_the_window_scale_option(options, scale):
    assert window_scale(options) == scale


def test_data_beyond_a_fin_does_not_move_the_fin(read):
    script = talk()
    script.put(0, ACK, b"phantom", seq=script.next[0] + 40_000)
    events = one(read(script.fin(0).put(1).packets))
    assert (events.gaps[0], events.ends[0]) == ([], "fin")


# ---------------------------------------------------------------------- padding


@pytest.mark.parametrize("size", range(1, 7))
def test_zeros_of_empty_segments_are_padding(read, size):
    script = talk()
    for _ in range(3):
        script.put(0, ACK, bytes(size)).send(0, b" more").put(1, ACK, bytes(size))
    events = one(read(script.send(1, b"answer").put(0, ACK, bytes(size)).fin(0).packets))
    assert bodies(events) == (b"request more more more", b"answer")
    assert (events.ends[0], codes(events)) == ("fin", [])


def test_zeros_that_are_acknowledged_are_data(read):
    script = talk()
    script.put(0, ACK, bytes(3))
    script.next[0] += 3
    events = one(read(script.put(1).put(1).packets))
    assert bytes(events.data[0]) == b"request" + bytes(3)


def test_zeros_after_which_their_sender_goes_on_counting_are_data(read):
    script = talk()
    script.put(0, ACK, bytes(3))
    script.next[0] += 3
    events = one(read(script.send(0, b"tail").packets))
    assert bytes(events.data[0]) == b"request" + bytes(3) + b"tail"


def test_pushed_zeros_are_data(read):
    events = one(read(talk().send(0, bytes(4)).packets))
    assert bytes(events.data[0]) == b"request" + bytes(4)


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, FIN | ACK])
def test_padding_of_a_syn_or_a_fin_is_not_data(read, flags):
    script = Script()
    script.put(0, SYN, bytes(6) if flags == SYN else b"", seq=1000, ack=0)
    script.put(1, SYN | ACK, bytes(6) if flags == SYN | ACK else b"", seq=70_000).put(0)
    answered(script.send(0, b"request").put(1)).put(1, FIN | ACK, bytes(6) if flags == FIN | ACK else b"")
    script.next[1] += 1
    events = one(read(script.put(0).packets))
    assert bodies(events) == (b"request", b"answer")
    assert (events.connection.gaps, events.ends[1], codes(events)) == ([0, 0], "fin", [])


# ---------------------------------------------------------------------- repeated bytes


def test_a_repetition_with_other_bytes_after_delivery_is_an_anomaly(read):
    script = talk()
    script.put(0, ACK, b"reQUest", seq=1001)
    events = one(read(answered(script).packets))
    assert bodies(events) == (b"request", b"answer")
    assert [anomaly[:3] for anomaly in events.connection.anomalies] == [("tcp-overlap-conflict", TO_SERVER, 0)]


def test_an_equal_repetition_of_several_segments_is_none(read):
    script = talk().send(0, b" one").send(0, b" two").put(1)
    script.put(0, ACK, b"quest one", seq=1003).put(0, ACK, b"one two three", seq=1009)
    events = one(read(script.packets))
    assert bytes(events.data[0]) == b"request one two three"
    assert codes(events) == []


def test_only_the_last_bytes_are_remembered(read):
    script = talk().send(0, bytes(range(256)) * (limits.MAX_REMEMBERED_BYTES // 256)).put(1)
    script.put(0, ACK, b"reQUest", seq=1001)
    assert codes(one(read(script.packets))) == []


@pytest.mark.parametrize("sizes", [[], [1] * 12, [4, 3], [5, 1, 2]])
def test_where_batches_end_changes_nothing(read, sizes):
    script = talk().put(0, ACK, bytes(2)).put(0, SYN, seq=77_000_000, ack=0).put(1)
    script.put(1, RST, seq=script.next[1] + 1000).put(0, ACK, b"reQUest", seq=1001)
    script.send(0, b" goes on")
    events = one(read(answered(script.put(1)).packets, sizes=sizes))
    assert bodies(events) == (b"request goes on", b"answer")
    assert sorted(codes(events)) == ["tcp-overlap-conflict", "tcp-reset-ignored", "tcp-syn-ignored"]


# ---------------------------------------------------------------------- gaps


def test_a_gap_over_two_responses_is_told_around_the_request_between_them(read):
    script = talk().send(1, b"first answer").send(0, b" second request").send(1, b"second answer").send(1, b" ends")
    del script.packets[7], script.packets[5]
    events = one(read(script.put(0).packets))
    told = [event for event in events.story[2:] if not isinstance(event, tuple) or len(event) != 6]
    assert [type(event).__name__ for event in told][:4] == ["Gap", "Data", "Gap", "Data"]
    assert events.gaps[1] == [(0, 12), (12, 13)]
    assert bodies(events) == (b"request second request", b" ends")


# ---------------------------------------------------------------------- contradictions


def test_bytes_that_wait_beyond_a_fin_are_cut_where_it_says(read):
    script = talk()
    script.put(0, ACK, b"45678", seq=script.next[0] + 3).put(0, FIN | ACK, seq=script.next[0] + 5)
    events = one(read(script.put(0, ACK, b"123", seq=script.next[0]).packets))
    assert bytes(events.data[0]) == b"request12345"
    assert (events.ends[0], codes(events)) == ("fin", ["tcp-data-after-close"])


def test_a_fin_before_bytes_that_were_acknowledged_does_not_count(read):
    script = talk()
    script.send(0, b"later bytes").put(1).put(0, FIN | ACK, seq=script.next[0] - 5)
    del script.packets[5]
    events = one(read(script.packets))
    assert events.ends[0] == "capture-end"
    assert events.gaps[0] == [(7, 11)]


def narrow(window: int) -> Script:
    """A connection whose server never offers more than ``window`` bytes."""
    script = Script()
    script.put(0, SYN, seq=1000, ack=0).put(1, SYN | ACK, seq=70_000, window=window).put(0)
    return script.send(0, b"req").put(1, window=window)


@pytest.mark.parametrize("sizes", [[], [6], [7], [8], [9]])
def test_bytes_beyond_the_window_are_compared_when_the_stream_has_come_to_them(read, sizes):
    script = narrow(20)
    script.put(0, ACK, b"phantom", seq=script.next[0] + 25).put(1, window=60_000)
    script.send(0, b"x" * 40).put(1).put(1)
    events = one(read(script.packets, sizes=sizes))
    assert bytes(events.data[0]) == b"req" + b"x" * 40
    assert codes(events) == ["tcp-overlap-conflict"]


def test_the_next_bytes_are_taken_also_beyond_the_window(read):
    script = narrow(4).put(1, window=0).send(0, b"a probe")
    assert bytes(one(read(script.packets)).data[0]) == b"reqa probe"
