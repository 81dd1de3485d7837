"""The pcapng that tshark is given holds every packet of the capture, and the secrets in front of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import easpcap.verify.pcapng as pcapng
from easpcap.capture import open_capture
from easpcap.capture.packets import Packets
from easpcap.errors import CaptureError
from easpcap.tls.secrets.session_secrets import SessionSecrets
from easpcap.verify.replay import Replay
from easpcap.verify.tshark import SecondOpinionError
from tests.support.packets import ACK, pcap_bytes, tcp_packet

PACKET = st.tuples(st.binary(max_size=80), st.integers(0, 2**62), st.sampled_from([1, 101, 113, 276]))


def columns(packets):
    """A buffer and Packets of (bytes, time, link type)."""
    buffer, rows = b"", []
    for data, time_ns, link_type in packets:
        rows.append((len(buffer), len(data), len(data) + 5, time_ns, link_type))
        buffer += data
    return buffer, Packets(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))


def read_back(data):
    """(bytes, length on the wire, time, link type) of each packet, and the key logs of a pcapng."""
    capture = open_capture(io.BytesIO(data))
    found = []
    for buffer, packets in capture.packets_as_captured():
        for at, captured, original, time_ns, link_type in zip(*(column.tolist() for column in packets), strict=True):
            found.append((bytes(buffer[at : at + captured]), original, time_ns, link_type))
    assert not capture.truncated
    return found, capture.secrets


@given(st.lists(PACKET, min_size=1, max_size=20))
def test_what_is_written_is_read_back(packets):
    written = pcapng.section() + b"".join(pcapng.PacketWriter().write(*columns(packets)))
    expected = [(data, len(data) + 5, time_ns, link_type) for data, time_ns, link_type in packets]
    assert read_back(written)[0] == expected


def test_an_interface_is_described_once_over_all_batches():
    writer, batch = pcapng.PacketWriter(), columns([(b"one", 1, 1), (b"two", 2, 1)])
    first, second = b"".join(writer.write(*batch)), b"".join(writer.write(*batch))
    assert len(first) - len(second) == len(pcapng.block(pcapng.INTERFACE, bytes(8) + pcapng.NANOSECOND_TIMES))


def test_a_link_type_that_the_capture_does_not_describe_is_one_that_nobody_dissects():
    written = pcapng.section() + b"".join(pcapng.PacketWriter().write(*columns([(b"?", 1, -1)])))
    assert read_back(written)[0] == [(b"?", 6, 1, pcapng.UNKNOWN_LINK)]


def test_a_packet_larger_than_wireshark_takes_is_cut_and_keeps_its_length(monkeypatch):
    monkeypatch.setattr(pcapng, "MAX_TSHARK_PACKET", 4)
    written = pcapng.section() + b"".join(pcapng.PacketWriter().write(*columns([(b"123456", 1, 1)])))
    assert read_back(written)[0] == [(b"1234", 11, 1, 1)]


def test_secrets_too_large_for_one_block_are_divided_between_lines(monkeypatch):
    monkeypatch.setattr(pcapng, "MAX_SECRETS_BLOCK_BYTES", 20)
    lines = [b"first line\n", b"second line\n", b"third\n"]
    blocks = list(pcapng.secrets_blocks(lines))
    secrets = read_back(
        pcapng.section() + b"".join(blocks) + b"".join(pcapng.PacketWriter().write(*columns([(b"", 1, 1)])))
    )
    assert secrets[1] == [b"first line\n", b"second line\nthird\n"]


def test_without_secrets_there_is_no_block_for_them():
    assert list(pcapng.secrets_blocks([])) == []


# -- the replay --------------------------------------------------------------------------------------------------------


def trace(folder, name="trace.pcap", payload=b"data"):
    path = folder / name
    path.write_bytes(
        pcap_bytes([tcp_packet("10.0.0.1", "10.0.0.2", 50000, 443, seq=1, ack=1, flags=ACK, payload=payload)])
    )
    return str(path)


def sha256(path):
    capture = open_capture(path)
    for _ in capture:
        pass
    return capture.sha256


def test_the_replay_holds_the_packets_of_all_captures_in_order_and_can_be_read_twice(tmp_path):
    paths = [trace(tmp_path, "b.pcap", b"first"), trace(tmp_path, "a.pcap", b"second")]
    secrets = SessionSecrets()
    secrets.add("CLIENT_RANDOM", b"R" * 32, b"M" * 48, proven=True)
    replay = Replay([(path, sha256(path)) for path in paths], secrets)
    once = b"".join(replay.pieces())
    packets, key_logs = read_back(once)
    assert [b"first" in packets[0][0], b"second" in packets[1][0]] == [True, True]
    assert key_logs == [b"CLIENT_RANDOM " + (b"R" * 32).hex().encode() + b" " + (b"M" * 48).hex().encode() + b"\n"]
    assert once == b"".join(replay.pieces())


def test_a_capture_that_changed_since_the_analysis_is_not_compared(tmp_path):
    path = trace(tmp_path)
    replay = Replay([(path, sha256(path))], SessionSecrets())
    trace(tmp_path, payload=b"other")
    with pytest.raises(SecondOpinionError, match="has changed"):
        list(replay.pieces())


def test_a_capture_that_is_gone_is_named(tmp_path):
    path = trace(tmp_path)
    replay = Replay([(path, sha256(path))], SessionSecrets())
    (tmp_path / "trace.pcap").unlink()
    with pytest.raises(CaptureError, match="cannot be opened"):
        list(replay.pieces())
