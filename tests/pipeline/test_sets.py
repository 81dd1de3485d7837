"""One conversation in several captures gives the answer of the whole: ring buffers, taps, copies, capture points."""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import threading
import types
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easpcap.pipeline import analyze
from easpcap.report import render_json
from easpcap.report.timeline import timeline_rows
from tests.pipeline.captures import CAPTURES, FIXTURES, KEY, PACKET_HEADER, packets_of
from tests.support.packets import ACK, PSH, SYN, ethernet, pcap_bytes, pcapng_bytes, tcp_packet

DEADLOCK = FIXTURES / "captures" / "renegotiation-deadlock.pcap"
PLACES = {"inputs", "input", "input_frame"}
MS, SECOND = 1_000_000, 1_000_000_000

any_capture = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)


def document(*paths):
    return json.loads("".join(render_json(analyze([str(path) for path in paths], keys=[KEY]))))


def without_places(value):
    """A document without what names files."""
    if isinstance(value, dict):
        return {key: without_places(item) for key, item in value.items() if key not in PLACES}
    return [without_places(item) for item in value] if isinstance(value, list) else value


def write(folder, name, header, packets):
    path = folder / name
    path.write_bytes(header + b"".join(packets))
    return path


def later(packet, ns):
    """A packet of a little-endian pcap file with microseconds, recorded so much later."""
    seconds, micros = struct.unpack_from("<II", packet)
    time = seconds * 10**6 + micros + ns // 1000
    return struct.pack("<II", time // 10**6, time % 10**6) + packet[8:]


def time_of(packet):
    return struct.unpack_from("<II", packet)


def by_direction(path):
    """The file header, the packets to the server, and those to the client."""
    header, packets = packets_of(path)
    ports = {connection.server.port for connection in analyze([str(path)]).connections}
    to_server = [struct.unpack_from(">H", packet, PACKET_HEADER + 36)[0] in ports for packet in packets]
    both = list(zip(packets, to_server, strict=True))
    return header, [p for p, forth in both if forth], [p for p, forth in both if not forth]


def gist(document):
    """What is found, and what was transferred, without frames and times."""
    findings = [
        (f["rule"], f["severity"], f["confidence"], f["connections"], f["exchanges"]) for f in document["findings"]
    ]
    connections = [
        (c["client"], c["server"], c["packets"], c["payload_bytes"], c["gaps"], c["closed_by"], c["decryption"])
        for c in document["connections"]
    ]
    exchanges = [(e["outcome"], (e["response"] or {}).get("status")) for e in document["exchanges"]]
    return findings, connections, exchanges


def codes(document):
    return [anomaly["code"] for anomaly in document["anomalies"]]


# ---------------------------------------------------------------------- ring buffers


@any_capture
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_capture_split_anywhere_gives_the_same_bytes_as_the_whole(path, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ring")
    header, packets = packets_of(path)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(packets) - 1), min_size=1, max_size=50)))
    bounds = [0, *cuts, len(packets)]
    files = [write(folder, f"ring{n}.pcap", header, packets[a:b]) for n, (a, b) in enumerate(pairwise(bounds))]
    parts = document(*data.draw(st.permutations(files)))
    assert json.dumps(without_places(parts)) == json.dumps(without_places(document(path)))
    assert [Path(source["path"]).name for source in parts["inputs"]] == [file.name for file in files]


def test_every_citation_names_the_file_and_the_frame_in_it(tmp_path):
    header, packets = packets_of(DEADLOCK)
    bounds = [0, 7, 20, 33, len(packets)]
    files = [write(tmp_path, f"{n}.pcap", header, packets[a:b]) for n, (a, b) in enumerate(pairwise(bounds))]
    for finding in document(*files)["findings"]:
        for item in finding["evidence"]:
            start = bounds[int(Path(item["input"]).stem)]
            assert item["frame"] == start + item["input_frame"]
        assert {item["input"] for item in finding["evidence"]} >= {own["input"] for own in finding["inputs"]}


def quiet_after(folder, *, pause, client="10.20.0.99"):
    """The deadlock without its end, and a second file that begins so much later: another client, for a minute."""
    header, packets = packets_of(DEADLOCK)
    stall = max(range(1, len(packets)), key=lambda n: _seconds(packets[n]) - _seconds(packets[n - 1]))
    first = packets[:stall]
    server = analyze([str(DEADLOCK)]).connections[0].server
    start = round(_seconds(first[-1]) * SECOND) + pause
    others = [
        (
            start + n * 5 * SECOND,
            tcp_packet(
                client, server.address, 50900, server.port, seq=n, flags=PSH | ACK if n else SYN, payload=b"x" * (n > 0)
            ),
        )
        for n in range(13)
    ]
    ring2 = folder / "ring2.pcap"
    ring2.write_bytes(pcap_bytes(others))
    return write(folder, "ring1.pcap", header, first), ring2


def _seconds(packet):
    seconds, micros = time_of(packet)
    return seconds + micros / 10**6


def test_a_deadlock_in_the_first_file_is_one_where_the_second_shows_that_the_capture_went_on(tmp_path):
    found = document(*quiet_after(tmp_path, pause=MS))
    assert "renegotiation-deadlock" in [finding["rule"] for finding in found["findings"]]
    assert "the capture ends 0 ms after" not in json.dumps(found)


def test_what_happened_between_captures_of_two_days_is_not_known(tmp_path):
    first, second = quiet_after(tmp_path, pause=86_400 * SECOND)
    assert gist(document(first, second))[0] == gist(document(first))[0]


# ---------------------------------------------------------------------- taps


@any_capture
def test_one_file_per_direction_gives_the_findings_of_the_merged_one(path, tmp_path):
    header, forth, back = by_direction(path)
    files = write(tmp_path, "b", header, back), write(tmp_path, "a", header, forth)
    found = document(*files)
    assert gist(found) == gist(document(path))
    assert not {"clock-offset", "two-capture-points"} & set(codes(found))


@any_capture
@pytest.mark.parametrize("ahead", [2 * SECOND, -3600 * SECOND])
def test_a_tap_with_two_clocks_gives_the_findings_too_and_says_how_far_they_are_apart(path, ahead, tmp_path):
    header, forth, back = by_direction(path)
    back = [later(packet, ahead) for packet in back]
    found = document(write(tmp_path, "a", header, forth), write(tmp_path, "b", header, back))
    assert gist(found) == gist(document(path))
    (said,) = [anomaly for anomaly in found["anomalies"] if anomaly["code"] == "clock-offset"]
    assert f"{abs(ahead) // SECOND:,}.000 s" in said["detail"]
    assert abs(abs(sum(source["clock_offset_s"] for source in found["inputs"])) - abs(ahead) / SECOND) < 0.5


@pytest.mark.parametrize("ahead", [0, 2 * SECOND, -40 * MS])
@pytest.mark.parametrize("parts", [2, 5])
def test_each_output_of_a_tap_may_be_a_ring_buffer_with_a_clock_of_its_own(tmp_path, ahead, parts):
    header, forth, back = by_direction(DEADLOCK)
    back = [later(packet, ahead) for packet in back]
    files = []
    for name, half in (("forth", forth), ("back", back)):
        bounds = [len(half) * n // parts for n in range(parts + 1)]
        files += [write(tmp_path, f"{name}{a}", header, half[a:b]) for a, b in pairwise(bounds)]
    found = document(*files)
    assert gist(found) == gist(document(DEADLOCK))
    assert codes(found).count("clock-offset") == bool(ahead)


def test_frames_of_captures_that_overlap_are_numbered_one_file_after_the_other(tmp_path):
    header, forth, back = by_direction(DEADLOCK)
    files = {str(write(tmp_path, name, header, half)): half for name, half in (("a", forth), ("b", back))}
    found = document(*files)
    first, second = found["inputs"]
    assert (first["first_frame"], second["first_frame"]) == (1, 1 + len(files[first["path"]]))
    for item in [item for finding in found["findings"] for item in finding["evidence"]]:
        seconds, micros = time_of(files[item["input"]][item["input_frame"] - 1])
        assert item["time"].endswith(f"{seconds % 60:02}.{micros:06}000Z")


# ---------------------------------------------------------------------- copies and capture points


@any_capture
def test_a_copy_of_the_capture_changes_nothing(path, tmp_path):
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(path.read_bytes())
    twice = document(path, copy)
    assert without_places(twice) == without_places(document(path))
    assert sorted(source["copies"] for source in twice["inputs"]) == [0, twice["inputs"][0]["packets"]]


def test_a_copy_repeats_neither_packets_that_are_not_read_nor_damage_nor_key_logs(tmp_path):
    packets = [tcp_packet(seq=1, flags=SYN), ethernet(b"not IP at all", 0x88CC), tcp_packet(seq=2), tcp_packet(seq=3)]
    damaged = pcapng_bytes(packets, secrets=b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n")[:-9]
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(damaged)
    once, twice = document(files[0]), document(*files)
    assert once["summary"]["packets_ignored"]
    assert codes(once) == ["capture-truncated"]
    assert len(once["keys"]) == 2
    assert without_places(twice) == without_places(once)


@any_capture
def test_ring_buffers_that_overlap_change_nothing(path, tmp_path):
    header, packets = packets_of(path)
    third = len(packets) // 3
    files = write(tmp_path, "b", header, packets[third:]), write(tmp_path, "a", header, packets[: 2 * third])
    assert gist(document(*files)) == gist(document(path))


@any_capture
@pytest.mark.parametrize(("delay", "ahead"), [(300_000, 0), (20 * MS, 0), (MS, 7200 * SECOND)])
def test_a_second_capture_point_changes_nothing_and_is_named(path, delay, ahead, tmp_path):
    near, far = two_points(path, delay, tmp_path, ahead)
    found = document(far, near)
    assert gist(found) == gist(document(near))
    assert codes(found).count("two-capture-points") == 1
    assert codes(found).count("clock-offset") == (1 if ahead else 0)


def two_points(path, delay, folder, ahead):
    """The capture as it is seen near the client and, ``delay`` ns away and by its own clock, near the server."""
    header, forth, back = by_direction(path)
    near, far, travelled, last_forth = [], [], 0, True
    for packet in packets_of(path)[1]:
        is_forth = packet in forth
        travelled += 2 * delay if is_forth and not last_forth else 0  # the client answers what has reached it
        last_forth = is_forth
        near.append(later(packet, travelled - delay if is_forth else travelled + delay))
        far.append(later(packet, travelled + ahead))
    assert len(near) == len(forth) + len(back)
    return tuple(write(folder, name, header, sorted(p, key=time_of)) for name, p in (("near", near), ("far", far)))


def test_both_sides_of_an_address_translation_are_recognised_and_not_merged(tmp_path):
    header, forth, _ = by_direction(DEADLOCK)
    inside = []
    for packet in packets_of(DEADLOCK)[1]:
        at = PACKET_HEADER + 14 + (12 if packet in forth else 16)  # the client's address
        inside.append(later(packet[:at] + bytes([192, 168, 7, 7]) + packet[at + 4 :], 200_000))
    found = document(DEADLOCK, write(tmp_path, "inside.pcap", header, inside))
    whole = document(DEADLOCK)
    assert len(found["connections"]) == 2 * len(whole["connections"])
    assert sorted(c["packets"] for c in found["connections"]) == sorted(
        2 * [c["packets"] for c in whole["connections"]]
    )
    (said,) = [anomaly for anomaly in found["anomalies"] if anomaly["code"] == "translated-connection"]
    assert f"show {len(whole['connections'])} connections under different addresses" in said["detail"]
    first, second = (int(word) for word in re.findall(r"frame (\d+) of", said["detail"]))
    assert first == second  # the same packet of equally long captures


# ---------------------------------------------------------------------- pipes


@pytest.mark.parametrize("earlier", [True, False])
def test_standard_input_beside_a_file_takes_its_place_by_time(tmp_path, monkeypatch, earlier):
    header, packets = packets_of(DEADLOCK)
    first, second = (write(tmp_path, name, header, half) for name, half in (("1", packets[:20]), ("2", packets[20:])))
    piped, file = (first, second) if earlier else (second, first)
    with piped.open("rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stdin))
        assert without_places(document(file, "-")) == without_places(document(DEADLOCK))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders: run it on another system")
def test_both_directions_of_a_tap_may_come_through_pipes(tmp_path):
    header, forth, back = by_direction(DEADLOCK)
    pipes = tmp_path / "forth", tmp_path / "back"
    writers = []
    for pipe, half in zip(pipes, (forth, back), strict=True):
        os.mkfifo(pipe)
        writers.append(threading.Thread(target=pipe.write_bytes, args=(header + b"".join(half),)))
        writers[-1].start()
    assert gist(document(*pipes)) == gist(document(DEADLOCK))
    for writer in writers:
        writer.join()


def test_the_timeline_cites_files_that_overlap(tmp_path):
    header, forth, back = by_direction(DEADLOCK)
    files = [str(write(tmp_path, name, header, half)) for name, half in (("a", forth), ("b", back))]
    rows = list(timeline_rows(analyze(files, keys=[KEY])))
    assert {row["capture"] for row in rows} == set(files)
    assert max(row["frame"] for row in rows) <= len(forth) + len(back)
