"""Network Monitor 1.x and 2.x: the frame table, the trailers, times before the start, pseudo frames, cut files."""

from __future__ import annotations

import gzip
import os
import struct
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from easpcap.capture.capture import open_head
from easpcap.errors import CaptureError
from tests.capture.rows import read, rows_of
from tests.support.captures import NetmonFrame, netmon_bytes
from tests.support.packets import START_NS, ipv4, tcp, tcp_packet

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = [(1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
STEP = 2_000_000
#: The files begin 250 ms after START_NS, so the first packets are older than the start of the capture.
PACKETS = [(START_NS + 250_000_000 + n * STEP, tcp_packet(seq=n, payload=b"x" * n)) for n in range(20)]
WANTED = [(n + 1, n, b"x" * n, START_NS + 250_000_000 + n * STEP) for n in range(20)]


def told(rows):
    return [(row.frame, row.seq, row.payload, row.time_ns) for row in rows]


@EVERY_VERSION
@pytest.mark.parametrize("header", [72, 128])
@pytest.mark.parametrize("window", [1, 100, 2**16])
def test_frames_are_rows_with_their_times(version: tuple[int, int], header: int, window: int):
    capture, rows = read(netmon_bytes(PACKETS, version=version, header_bytes=header), window_bytes=window)
    assert told(rows) == WANTED
    assert (capture.format, capture.link_types, capture.truncated) == ("netmon", ["Ethernet"], False)


@EVERY_VERSION
def test_local_times_without_a_zone_are_reported(version: tuple[int, int]):
    codes = [code for code, _, _ in read(netmon_bytes(PACKETS, version=version))[0].anomalies]
    assert codes == ([] if version == (2, 3) else ["capture-local-time"])


def test_a_frame_may_be_older_than_the_start_of_the_capture():
    """Its time is then a large number, which ten times itself wraps to a negative one: exact to a microsecond."""
    packets = [(START_NS - 5_000_000, tcp_packet(seq=7))]
    for version, exact in [((2, 0), 1000), ((2, 3), 1)]:
        (row,) = read(netmon_bytes(packets, version=version))[1]
        assert 0 <= START_NS - 5_000_000 - row.time_ns < exact


def test_a_file_whose_start_is_no_date_still_gives_its_frames():
    data = bytearray(netmon_bytes(PACKETS, version=(2, 0)))
    data[10:12] = b"\x0d\0"  # month 13
    capture, rows = read(bytes(data))
    assert [row.seq for row in rows] == list(range(20))
    assert capture.first_time == 0


def test_the_frame_table_gives_the_order_and_frames_may_have_holes_between_them():
    frames = [NetmonFrame(packet, hole=b"hole" * (n % 3)) for n, packet in enumerate(PACKETS)]
    order = [*range(19, 9, -1), *range(10)]
    _, rows = read(netmon_bytes(frames, table=order))
    assert [row.seq for row in rows] == order
    assert [row.frame for row in rows] == list(range(1, 21))


def test_a_frame_is_read_as_often_as_the_table_names_it():
    assert [row.seq for row in read(netmon_bytes(PACKETS, table=[3, 3, 4]))[1]] == [3, 3, 4]


def test_pseudo_frames_are_numbered_as_wireshark_does():
    """It counts event and filter frames, but neither network information nor the DNS cache."""
    pseudo = [NetmonFrame((START_NS, b"text"), network) for network in (0xFFFF, 0xFFE0, 0xFFFE, 0xFFFD, 0xFFFC)]
    capture, rows = read(netmon_bytes([*pseudo, PACKETS[0]]))
    assert [row.frame for row in rows] == [3]
    assert capture.ignored == {"no packet in the frame": 2}
    assert (capture.first_time, capture.last_time) == (PACKETS[0][0], PACKETS[0][0])


def test_a_frame_of_an_unknown_network_is_counted():
    capture, rows = read(netmon_bytes([NetmonFrame(PACKETS[0], 0xE083), PACKETS[1]]))
    assert [(row.frame, row.time_ns) for row in rows] == [(2, PACKETS[1][0])]
    assert capture.ignored == {"no known link type": 1}
    assert capture.first_time == PACKETS[0][0]


def test_each_frame_has_its_own_link_type_from_version_2_1_on():
    segment = ipv4("10.0.0.1", "10.0.0.2", tcp(1, 2, 3, 4, 16, b"raw"))
    frames = [NetmonFrame(PACKETS[3]), NetmonFrame((START_NS, segment), 9), NetmonFrame((START_NS, segment), 0xE065)]
    capture, rows = read(netmon_bytes(frames, version=(2, 1)))
    assert [row.payload for row in rows] == [b"xxx", b"raw", b"raw"]
    assert capture.link_types == ["Ethernet", "Raw IP"]
    assert [row.payload for row in read(netmon_bytes([segment], version=(2, 0), network=10))[1]] == [b"raw"]


def test_the_header_before_an_802_11_frame_is_no_part_of_it():
    frame = NetmonFrame((START_NS, b"\x02\x20\0" + bytes(29) + b"frame", 200), 6)
    capture, _ = read(netmon_bytes([frame]))
    assert capture.link_types == ["IEEE 802.11"]


@EVERY_VERSION
@pytest.mark.parametrize("header", [72, 128])
def test_cut_at_any_byte_it_gives_whole_frames_one_after_the_other(version: tuple[int, int], header: int):
    data = netmon_bytes(PACKETS[:6], version=version, header_bytes=header)
    whole = read(data)[1]
    for cut in range(4, len(data)):
        capture, rows = read(data[:cut])
        assert rows == whole[: len(rows)]
        assert capture.truncated
        assert len(rows) >= 6 * (cut >= len(data) - 24)  # only the table is cut


def test_entries_of_the_table_that_lead_nowhere_are_counted():
    data = bytearray(netmon_bytes(PACKETS))
    data[-8:] = struct.pack("<II", 2**31, 5)
    capture, rows = read(bytes(data))
    assert [row.seq for row in rows] == list(range(18))
    detail = "2 frames of the frame table are outside the file or impossible"
    assert capture.anomalies == [("capture-damaged", 18, detail)]


def test_a_file_without_frames_is_a_capture():
    capture, rows = read(netmon_bytes([]))
    assert (rows, capture.packets, capture.damaged_places) == ([], 0, 0)


@given(
    changes=st.lists(st.tuples(st.integers(4, 900), st.integers(0, 255)), max_size=6), version=st.sampled_from(VERSIONS)
)
@settings(max_examples=60, deadline=None)
def test_damage_never_raises(changes: list[tuple[int, int]], version: tuple[int, int]):
    data = bytearray(netmon_bytes(PACKETS[:6], version=version))
    for place, value in changes:
        data[place % len(data) if place % len(data) > 3 else 4] = value
    capture, rows = read(bytes(data))
    assert len(rows) + sum(capture.ignored.values()) == capture.packets


def test_a_stored_file_is_read_where_its_table_says_and_hashed_once(tmp_path: Path):
    path = tmp_path / "capture"
    data = netmon_bytes(PACKETS, table=[*range(10, 20), *range(10)])
    path.write_bytes(data)
    capture = open_capture(path)
    rows = [row for batch in capture for row in rows_of(batch)]
    assert rows == read(data)[1]
    assert (capture.sha256, capture.bytes_read) == (read(data)[0].sha256, len(data))
    with open_head(path) as head:
        assert head.peek().first_time == rows[0].time_ns


def test_a_compressed_one_is_read_too():
    capture, rows = read(gzip.compress(netmon_bytes(PACKETS)))
    assert told(rows) == WANTED
    assert capture.format == "netmon+gzip"


def test_a_pipe_is_read_to_its_end_because_the_table_is_there():
    data = netmon_bytes(PACKETS)
    inlet, outlet = os.pipe()

    def write() -> None:
        with os.fdopen(outlet, "wb", buffering=0) as file:
            for start in range(0, len(data), 101):
                file.write(data[start : start + 101])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        rows = [row for batch in open_capture(file) for row in rows_of(batch)]
    writer.join()
    assert told(rows) == WANTED


def test_a_pipe_that_brings_more_than_can_be_held_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.netmon.MAX_NETMON_PIPE_BYTES", 1000)
    with pytest.raises(CaptureError, match="store it uncompressed in a file"):
        read(netmon_bytes(PACKETS))


def test_milliseconds_of_version_1_are_unsigned():
    start = datetime(2010, 11, 15, tzinfo=UTC)
    late = int(start.timestamp()) * 10**9 + (2**32 - 1) * 10**6
    assert [row.time_ns for row in read(netmon_bytes([(late, tcp_packet())], version=(1, 1), start=start))[1]] == [late]
