"""Captures that others have published, against byte counts, digests and gaps found by another program."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from easpcap.errors import CaptureError
from easpcap.stream import Data, Gap
from easpcap.tcp.assembler import Assembler

FOLDER = Path(__file__).parents[3] / "shared" / "captures" / "public"
EXPECTED = sorted((FOLDER / "expected").glob("*.json")) if FOLDER.is_dir() else []

pytestmark = pytest.mark.skipif(not EXPECTED, reason="needs the published captures in ../shared/captures/public")


#: Streams that the other program reads less of, by the capture's own bytes: IPv6 packets whose length is 0, as segment
#: offload leaves them, and a connection that begins with a keep-alive probe, whose byte is no data.
EXPLAINED = {"msft-rms-ex4.cap": {0, 1, 2, 4, 5, 7, 9, 10}, "msft-wsus-ex3.cap": {2}}


def read_streams(path: Path, *, columnar: bool):
    """connection id -> ((bytes, sha256, gaps) to the server, the same to the client), and the connections."""
    from easpcap.capture import open_capture

    assembler, streams = Assembler(columnar=columnar), {}

    def take(events):
        for connection, event in events:
            data, gaps = streams.setdefault(connection.id, (([], []), ([], [])))
            if type(event) is Data:
                data[event.direction].append(event.data)
            elif type(event) is Gap:
                gaps[event.direction].append([event.offset, event.length])

    for batch in open_capture(path):
        take(assembler.feed(batch))
    take(assembler.finish())
    joined = {
        number: [(b"".join(data[direction]), gaps[direction]) for direction in (0, 1)]
        for number, (data, gaps) in streams.items()
    }
    return joined, dict(enumerate(sorted(assembler.connections, key=lambda connection: connection.first.frame)))


@pytest.mark.parametrize("expected_path", EXPECTED, ids=lambda path: path.stem)
def test_streams_equal_those_that_another_program_reassembled(expected_path, columnar):
    expected = json.loads(expected_path.read_text(encoding="utf-8"))
    path = FOLDER / "files" / expected["name"]
    if expected["same_as"]:
        expected = json.loads((FOLDER / "expected" / f"{expected['same_as']}.json").read_text(encoding="utf-8"))
    try:
        streams, connections = read_streams(path, columnar=columnar)
    except CaptureError as error:
        pytest.skip(str(error))  # what to do is in the error
    if not connections:
        pytest.skip("nothing to do: this capture has a link type that easpcap does not read")
    for stream in expected["streams"]:
        if stream["stream"] in EXPLAINED.get(expected["name"], ()):
            continue
        connection = connections[stream["stream"]]
        assert connection.packets == stream["packets"]
        names = ["tcp_c2s", "tcp_s2c"]
        if str(connection.client).replace("[", "").replace("]", "") != stream["client"].replace("[", "").replace(
            "]", ""
        ):
            assert connection.roles_known_by == "port"  # the other program takes the first packet's sender
            names.reverse()
        for direction, name in enumerate(names):
            data, gaps = streams.get(connection.id, [(b"", [])] * 2)[direction]
            if name in stream:
                assert len(data) == stream[name]["bytes"]
                assert hashlib.sha256(data).hexdigest() == stream[name]["sha256"]
                if gaps[-1:] and gaps[-1][0] == len(data) + sum(length for _, length in gaps[:-1]):
                    gaps = [gap for gap in gaps if gap in stream[name]["gaps"]]  # only an ACK tells of the tail
                assert gaps == stream[name]["gaps"]
