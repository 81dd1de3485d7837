"""From files to an analysis: the same answer however the bytes arrive, on either path."""

from __future__ import annotations

import gc
import struct
from pathlib import Path

import pytest

from easpcap.pipeline import analyze, conversation
from tests.pipeline.captures import CAPTURES, FIXTURES, KEY, PACKET_HEADER, as_json, packets_of
from tests.pipeline.captures import read as analysis_of

any_capture = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)


def read(path, **options):
    return as_json(analysis_of(path, **options))


@any_capture
def test_both_paths_give_the_same_analysis(path):
    assert read(path) == read(path, columnar=False)


@any_capture
def test_small_windows_give_the_same_analysis_as_large_ones(path):
    assert read(path) == read(path, window_bytes=4096)


@any_capture
def test_forgetting_positions_at_once_changes_nothing(path, monkeypatch):
    whole = read(path)
    monkeypatch.setattr(conversation, "PRUNE_BYTES", 0)
    assert read(path, window_bytes=4096) == whole


def test_a_capture_in_several_files_is_read_as_one(tmp_path):
    path = FIXTURES / "captures" / "renegotiation-deadlock.pcap"
    header, packets = packets_of(path)
    cut = len(packets) // 2
    late, early = tmp_path / "a-late.pcap", tmp_path / "b-early.pcap"
    early.write_bytes(header + b"".join(packets[:cut]))
    late.write_bytes(header + b"".join(packets[cut:]))
    whole = as_json(analyze([str(path)], keys=[KEY]))
    parts = analyze([str(late), str(early)], keys=[KEY])
    assert [(Path(file.path).name, file.first_frame) for file in parts.inputs] == [
        ("b-early.pcap", 1),
        ("a-late.pcap", cut + 1),
    ]
    assert [e.id for e in parts.exchanges] == list(range(len(parts.exchanges)))
    assert strip_places(as_json(parts)) == strip_places(whole)


def strip_places(text):
    """Remove file names, frame numbers within a file, and filters that need a single file."""
    return [line for line in text.replace(",", "\n").splitlines() if '"input' not in line and "filter" not in line]


@any_capture
def test_a_capture_cut_anywhere_is_read_to_the_cut(path, tmp_path):
    header, packets = packets_of(path)
    step = max(1, len(packets) // 12)
    for count in range(0, len(packets), step):
        cut = tmp_path / "cut.pcap"
        cut.write_bytes(header + b"".join(packets[:count]) + packets[count][:-1])
        analysis = analyze([str(cut)], keys=[KEY])
        assert analysis.inputs[0].truncated
        assert analysis.inputs[0].packets == count


@any_capture
def test_where_one_side_was_not_captured_no_side_is_said_to_have_given_up(path, tmp_path):
    header, packets = packets_of(path)
    server_port = next(c.server.port for c in analyze([str(path)]).connections)
    to_server = [p for p in packets if struct.unpack_from(">H", p, PACKET_HEADER + 14 + 20 + 2)[0] == server_port]
    half = tmp_path / "half.pcap"
    half.write_bytes(header + b"".join(to_server))
    analysis = analyze([str(half)], keys=[KEY])
    assert analysis.connections
    assert not [e for e in analysis.exchanges if e.outcome.startswith("abandoned")]
    assert not [f for f in analysis.findings if f.severity == "critical"]


def test_every_exchange_lies_between_the_frames_of_its_connection():
    for path in CAPTURES:
        analysis = analyze([str(path)], keys=[KEY])
        for connection in analysis.connections:
            for exchange in connection.exchanges:
                for message in filter(None, (exchange.request, exchange.response)):
                    assert connection.first.frame <= message.first.frame <= message.last.frame <= connection.last.frame


def test_secrets_inside_a_capture_are_used_and_named(tmp_path):
    from tests.support.packets import pcapng_bytes, pcapng_secrets

    path = FIXTURES / "captures" / "ecdhe-opaque.pcap"
    _, packets = packets_of(path)
    frames = []
    for packet in packets:
        seconds, micros = struct.unpack_from("<II", packet)
        frames.append(((seconds * 10**6 + micros) * 1000, packet[PACKET_HEADER:], len(packet) - PACKET_HEADER))
    secrets = (FIXTURES / "captures" / "ecdhe-opaque.keys").read_bytes()
    plain = pcapng_bytes(frames)
    end_of_section = struct.unpack_from("<I", plain, 4)[0]
    carried = tmp_path / "carried.pcapng"
    carried.write_bytes(plain[:end_of_section] + pcapng_secrets(secrets) + plain[end_of_section:])
    analysis = analyze([str(carried)])
    assert {c.decryption.status for c in analysis.connections} == {"decrypted"}
    assert [(key.kind, key.path) for key in analysis.keys] == [("embedded-key-log", str(carried))]


def test_a_closed_connection_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        analysis = analyze([str(CAPTURES[0])], keys=[str(KEY)])
        left = {type(thing).__name__ for thing in gc.get_objects()}
    finally:
        gc.enable()
    assert analysis.connections
    assert not left & {
        "Conversation",
        "HttpConversation",
        "MessageReader",
        "TlsSession",
        "HandshakeMachine",
        "Reassembler",
    }


def test_the_same_key_in_two_files_matches_the_same_connections(tmp_path):
    twin = tmp_path / "copy.pem"
    twin.write_bytes(Path(KEY).read_bytes())
    first, second = analyze([str(FIXTURES / "captures" / "apache-413.pcap")], keys=[str(KEY), str(twin)]).keys
    assert first.matches
    assert second.matches == first.matches


def test_the_end_of_a_connection_is_kept_however_much_happened_before(monkeypatch):
    monkeypatch.setattr(conversation, "MAX_FACTS", conversation.RESERVED_FOR_ENDINGS + 2)
    (first, *_) = analysis_of(FIXTURES / "captures" / "renegotiation-deadlock.pcap").connections
    kinds = [fact.kind for fact in first.facts]
    assert kinds[:2] == ["tcp-open", "client-hello"]
    assert "fin" in kinds[2:]
    assert set(kinds[2:]) <= conversation.ENDING_FACTS
