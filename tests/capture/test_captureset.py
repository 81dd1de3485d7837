"""Several captures as one: ring buffers, taps, copies, pipes, whatever the order in which they are named."""

from __future__ import annotations

import os
import sys
import threading
import types
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import CaptureSet, merging
from easpcap.capture import member as members
from easpcap.capture.member import why_no_capture
from easpcap.errors import CaptureError
from tests.capture.rows import rows_of
from tests.capture.test_fragments import FRAGMENTS, PAYLOAD, WHOLE
from tests.support.packets import (
    ACK,
    FIN,
    NULL,
    RAW_IP,
    START_NS,
    SYN,
    ipv4,
    pcap_bytes,
    pcapng_bytes,
    pcapng_interface,
    pcapng_section,
    tcp,
    tcp_packet,
)

MS = 1_000_000


def packet(number, at_ms=None, **more):
    """One of a client's packets, of 10 bytes each, sent at this millisecond."""
    at = START_NS + (number if at_ms is None else at_ms) * MS
    return round(at), tcp_packet(seq=number * 10, payload=b"%010d" % number, **more)


def write(folder: Path, **captures):
    """Each capture, packets or bytes, as a file of its name; the paths by name."""
    paths = {}
    for name, content in captures.items():
        paths[name] = str(folder / f"{name}.pcap")
        Path(paths[name]).write_bytes(content if isinstance(content, bytes) else pcap_bytes(content))
    return paths


def read(*paths):
    """The set, and the rows of all its batches with their final frames."""
    captures = CaptureSet(paths)
    rows = [row for batch in captures for row in rows_of(batch)]
    return captures, [row._replace(frame=captures.final_frame(row.frame)) for row in rows]


def numbers(rows):
    """Which packets these are, in the order in which they were read."""
    return [row.seq // 10 for row in rows]


# ---------------------------------------------------------------------- one after the other


def test_files_of_a_ring_buffer_are_read_in_the_order_of_their_first_packets(tmp_path):
    files = write(tmp_path, a=map(packet, range(4, 8)), b=map(packet, range(8, 12)), c=map(packet, range(4)))
    captures, rows = read(files["a"], files["b"], files["c"])
    assert numbers(rows) == list(range(12))
    assert [row.frame for row in rows] == list(range(1, 13))
    assert [Path(member.path).stem for member in captures.members] == ["c", "a", "b"]
    assert not captures.renumbers


def test_packets_stored_a_little_out_of_order_at_the_end_of_a_file_stay_where_they_are(tmp_path):
    first = [packet(0), packet(1), packet(2, 3.1)]
    files = write(tmp_path, first=first, second=[packet(3, 3.0), packet(4, 4)])
    assert numbers(read(files["second"], files["first"])[1]) == [0, 1, 2, 3, 4]


def test_a_capture_without_packets_or_without_times_comes_last(tmp_path):
    timeless = pcapng_section() + pcapng_interface()
    files = write(tmp_path, empty=timeless, full=[packet(1)], header=pcap_bytes([]))
    captures, rows = read(files["empty"], files["header"], files["full"])
    assert numbers(rows) == [1]
    assert Path(captures.members[0].path).stem == "full"
    assert [first_frame for _, _, first_frame in captures.numbered] == [1, 2, 2]


class TestFirstPackets:
    """of the same time."""

    def test_the_capture_in_which_the_time_moves_on_comes_later(self, tmp_path):
        files = write(tmp_path, on=[packet(1, 0), packet(2, 1)], still=[packet(5, 0)])
        assert numbers(read(files["on"], files["still"])[1]) == [5, 1, 2]

    def test_sequence_numbers_decide_before_names_do(self, tmp_path):
        files = write(tmp_path, a=[packet(2, 0)], b=[packet(1, 0)])
        assert numbers(read(files["a"], files["b"])[1]) == [1, 2]

    def test_an_acknowledgement_comes_after_its_data(self, tmp_path):
        answer = (START_NS, tcp_packet("10.0.0.2", "10.0.0.1", 443, 50000, seq=900, ack=20))
        files = write(tmp_path, a=[answer], b=[packet(1, 0)])
        assert numbers(read(files["a"], files["b"])[1]) == [1, 90]

    def test_numbers_in_names_count_as_numbers(self, tmp_path):
        files = write(tmp_path, trace10=[packet(1, 0, sport=1)], trace9=[packet(2, 0, sport=2)])
        assert numbers(read(files["trace10"], files["trace9"])[1]) == [2, 1]


# ---------------------------------------------------------------------- at the same time


def test_the_two_outputs_of_a_tap_are_merged_by_time_and_numbered_one_after_the_other(tmp_path):
    files = write(tmp_path, even=map(packet, range(0, 20, 2)), odd=map(packet, range(1, 20, 2)))
    captures, rows = read(files["odd"], files["even"])
    assert numbers(rows) == list(range(20))
    assert [row.frame for row in rows[::2]] == list(range(1, 11))
    assert [row.frame for row in rows[1::2]] == list(range(11, 21))
    assert captures.renumbers


def test_link_types_formats_and_resolutions_mix(tmp_path):
    three, five = (ipv4("10.0.0.1", "10.0.0.2", tcp(50000, 443, seq, 0, ACK, b"x")) for seq in (30, 50))
    raw = pcap_bytes([(START_NS + 3 * MS + 7, three)], link_type=RAW_IP, nanoseconds=False)
    loop = pcap_bytes([(START_NS + 5 * MS, b"\2\0\0\0" + five)], link_type=NULL)
    files = write(tmp_path, raw=raw, ether=pcapng_bytes([packet(1), packet(6)]), loop=loop)
    captures, rows = read(*files.values())
    assert numbers(rows) == [1, 3, 5, 6]
    assert [row.time_ns - START_NS for row in rows] == [MS, 3 * MS, 5 * MS, 6 * MS]
    assert len({name for member in captures.members for name in member.capture.link_types}) == 3


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_however_packets_are_dealt_to_files_they_are_read_in_the_order_of_their_times(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("set")
    dealt = data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=60))
    hands = {f"f{n}": [packet(i) for i, hand in enumerate(dealt) if hand == n] for n in set(dealt)}
    paths = data.draw(st.permutations(list(write(folder, **hands).values())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "WINDOW_BYTES", data.draw(st.sampled_from([400, 2_000, 2**20])))
        patch.setattr(merging, "PEEK_BYTES", 100)
        captures, rows = read(*paths)
    assert numbers(rows) == list(range(len(dealt)))
    assert [row.payload for row in rows] == [b"%010d" % number for number in range(len(dealt))]
    firsts = sorted(range(len(dealt)), key=lambda i: (dealt.index(dealt[i]), i))
    assert [firsts.index(i) + 1 for i in range(len(dealt))] == [row.frame for row in rows]
    assert sum(member.packets for member in captures.members) == len(dealt)


def test_the_order_of_a_file_is_kept_where_its_times_run_backwards(tmp_path):
    files = write(tmp_path, a=[packet(1, 10), packet(2, 5), packet(3, 30)], b=[packet(11, 8), packet(12, 20)])
    assert numbers(read(*files.values())[1]) == [11, 1, 2, 12, 3]


def test_few_files_are_open_at_a_time(tmp_path, monkeypatch):
    opened, most = [], []
    real = members.Member.open

    def counted(self, *arguments):
        real(self, *arguments)
        opened.append(self.capture)
        most.append(sum(not capture._source._file.closed for capture in opened))

    monkeypatch.setattr(members.Member, "open", counted)
    files = write(tmp_path, **{f"f{n}": [packet(2 * n), packet(2 * n + 1)] for n in range(30)})
    assert len(read(*files.values())[1]) == 60
    assert len(opened) == 30
    assert max(most) <= 2


# ---------------------------------------------------------------------- copies


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    files = write(tmp_path, a=map(packet, range(5)))
    captures, rows = read(files["a"], str(tmp_path / "." / "a.pcap"), files["a"])
    assert numbers(rows) == list(range(5))
    assert len(captures.members) == 1


def test_a_copy_of_a_file_changes_nothing(tmp_path):
    packets = [packet(n) for n in range(50)]
    files = write(tmp_path, a=packets, b=packets)
    captures, rows = read(*files.values())
    assert rows == read(files["a"])[1]
    assert [captures.copies(member) for member in captures.members] == [0, 50]
    assert not captures.two_points


def test_ring_buffers_that_overlap_are_joined(tmp_path):
    files = write(tmp_path, a=map(packet, range(30)), b=map(packet, range(20, 50)), c=map(packet, range(10, 25)))
    captures, rows = read(*files.values())
    assert numbers(rows) == list(range(50))
    assert sum(captures.copies(member) for member in captures.members) == 25


def test_a_copy_with_microseconds_and_a_cut_copy_are_copies(tmp_path):
    packets = [(at + 321, data) for at, data in map(packet, range(10))]
    cut = [(at, data[:58], len(data)) for at, data in packets]
    files = write(tmp_path, cut=cut, coarse=pcap_bytes(packets, nanoseconds=False), whole=packets)
    captures, rows = read(*files.values())
    assert [row.payload for row in rows] == [b"%010d" % number for number in range(10)]
    assert not captures.two_points


def test_retransmissions_are_as_many_as_in_the_capture_with_the_most_of_them(tmp_path):
    again = [packet(0, 0), packet(1, 1), packet(1, 3), packet(1, 5), packet(2, 9)]
    files = write(tmp_path, a=again, b=[packet(0, 0), packet(1, 3), packet(2, 9)])
    assert numbers(read(*files.values())[1]) == [0, 1, 1, 1, 2]


def test_packets_that_are_alike_but_for_their_bytes_are_both_read(tmp_path):
    one, other = (tcp_packet(seq=7, payload=payload) for payload in (b"this", b"that"))
    files = write(tmp_path, a=[(START_NS, one), packet(9)], b=[packet(8, -1), (START_NS, other), packet(9)])
    assert sorted(row.payload for row in read(*files.values())[1])[-2:] == [b"that", b"this"]


def test_a_second_capture_point_adds_no_packets_and_is_named(tmp_path):
    packets = [packet(n) for n in range(40)]
    files = write(tmp_path, near=packets, far=[(at + 400_000, data) for at, data in packets])
    captures, rows = read(files["far"], files["near"])
    assert rows == read(files["near"])[1]
    (points,) = captures.two_points
    assert (points.first.path, points.second.path) == (files["near"], files["far"])
    assert (points.common.packets, points.common.apart_ns) == (40, 400_000)


def test_what_one_capture_point_missed_comes_from_the_other(tmp_path):
    packets = [packet(n) for n in range(40)]
    far = [(at + 400_000, data) for at, data in packets]
    files = write(tmp_path, near=packets[:10] + packets[13:], far=far)
    assert numbers(read(*files.values())[1]) == list(range(40))


def test_copies_are_found_across_the_borders_of_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "WINDOW_BYTES", 500)
    monkeypatch.setattr(merging, "PEEK_BYTES", 300)
    packets = [packet(n) for n in range(60)]
    files = write(tmp_path, near=packets, far=[(at + 7 * MS, data) for at, data in packets])
    assert sorted(numbers(read(*files.values())[1])) == list(range(60))


# ---------------------------------------------------------------------- pipes


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders: run it on another system")
def test_a_named_pipe_is_opened_once_and_takes_its_place_by_time(tmp_path):
    files = write(tmp_path, first=map(packet, range(3)), last=map(packet, range(6, 9)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(pcap_bytes(map(packet, range(3, 6)))))
    writer.start()
    _, rows = read(files["last"], str(pipe), files["first"])
    writer.join()
    assert numbers(rows) == list(range(9))


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_standard_input_takes_its_place_by_time(tmp_path, monkeypatch, cut):
    path = tmp_path / "stdin"
    path.write_bytes(pcap_bytes(map(packet, range(cut))))
    files = write(tmp_path, rest=map(packet, range(cut, 10)))
    with path.open("rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stdin))
        captures, rows = read(files["rest"], "-")
    assert numbers(rows) == list(range(10))
    assert [member.path for member in captures.members] == ["-", files["rest"]]


# ---------------------------------------------------------------------- what is no capture


def test_a_file_that_is_no_capture_is_an_error_before_anything_is_read(tmp_path):
    files = write(tmp_path, good=[packet(1)], bad=b"no capture at all")
    with pytest.raises(CaptureError, match="bad"):
        CaptureSet(list(files.values()))
    with pytest.raises(CaptureError, match="bad"):
        list(CaptureSet([files["bad"]]))


def test_why_a_file_is_no_capture(tmp_path):
    files = write(tmp_path, good=[packet(1)], text=b"hello, world")
    assert why_no_capture(files["good"]) is None
    assert "text file" in (why_no_capture(files["text"]) or "")
    assert "cannot be opened" in (why_no_capture(str(tmp_path / "missing")) or "")


def test_a_capture_cut_off_in_the_middle_of_the_set_ends_only_itself(tmp_path):
    cut = pcap_bytes(map(packet, range(3)))[:-5]
    files = write(tmp_path, cut=cut, rest=[(at, data) for at, data in map(packet, range(3, 6))])
    captures, rows = read(*files.values())
    assert numbers(rows) == [0, 1, 3, 4, 5]
    assert [(member.capture.truncated, member.packets) for member in captures.members] == [(True, 2), (False, 3)]


def test_syn_and_fin_without_data_are_merged_too(tmp_path):
    one = [(START_NS, tcp_packet(seq=1, flags=SYN)), (START_NS + 4 * MS, tcp_packet(seq=2, flags=FIN | ACK))]
    other = [(START_NS + MS, tcp_packet("10.0.0.2", "10.0.0.1", 443, 50000, seq=9, ack=2, flags=SYN | ACK))]
    files = write(tmp_path, one=one, other=other)
    assert [row.flags for row in read(*files.values())[1]] == [SYN, SYN | ACK, FIN | ACK]


def written(folder, *captures):
    """Captures of IP packets, one a millisecond."""
    paths, at = [], 0
    for number, packets in enumerate(captures):
        path = folder / f"{number}.pcap"
        stamped = [(START_NS + (at + place) * 10**6, packet) for place, packet in enumerate(packets)]
        path.write_bytes(pcap_bytes(stamped, link_type=RAW_IP))
        paths.append(str(path))
        at += len(packets)
    return paths


@pytest.mark.parametrize("cut", range(1, 5))
def test_fragments_of_a_datagram_may_be_in_captures_that_follow_each_other(tmp_path, cut):
    packets = [WHOLE, *FRAGMENTS, WHOLE]
    captures = CaptureSet(written(tmp_path, packets[:cut], packets[cut:])[::-1])
    rows = [row for batch in captures for row in rows_of(batch)]
    assert [(row.frame, row.payload) for row in rows] == [(1, b"whole"), (4, PAYLOAD), (5, b"whole")]
    assert not any(capture.ignored for capture in captures.opened)


def test_fragments_that_no_capture_completes_are_counted_once(tmp_path):
    captures = CaptureSet(written(tmp_path, [WHOLE, FRAGMENTS[0]], [FRAGMENTS[1], WHOLE], [WHOLE]))
    assert len([row for batch in captures for row in rows_of(batch)]) == 3
    assert sum(sum(capture.ignored.values()) for capture in captures.opened) == 2
