"""Files that are no captures are named, and the error says what to do."""

from __future__ import annotations

import struct

import pytest

from easpcap.capture.foreign import only_wireshark, refusal
from easpcap.errors import CaptureError
from tests.capture.rows import read


def etl(size: int = 0x10000, *, filled: int = 0x1000, kind: int = 4) -> bytes:
    """The first buffer header of an event trace."""
    return (
        struct.pack("<IIIIQQQII", size, filled, filled, 0, 0, 0, 0, 0, 0)
        + struct.pack("<IHH", filled, 0, kind)
        + bytes(16)
    )


@pytest.mark.parametrize("size", [0x1000, 0x2000, 0x10000, 0x40000, 0x100000])
def test_an_event_trace_is_recognised_by_its_content_and_the_commands_are_named(size: int):
    with pytest.raises(CaptureError, match="this is an ETL trace") as error:
        read(etl(size))
    assert "etl2pcapng IN.etl OUT.pcapng" in str(error.value)
    assert "pktmon etl2pcap IN.etl --out OUT.pcapng" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("other", [etl(1000), etl(filled=0x20000), etl(kind=0), etl(size=0x2000000), bytes(100)])
def test_other_binary_files_are_no_event_trace(other: bytes):
    assert "this is an ETL trace" not in refusal(other[:64])


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"TRSNIFF data", "Sniffer"),
        (b"XCP\0", "NetXRay"),
        (b"iptrace 2.0", "AIX"),
        (b"\x05VNF", "Visual"),
        (b"else", ""),
    ],
)
def test_captures_for_wireshark_are_named(head: bytes, what: str):
    assert what in only_wireshark(head)
    assert bool(what) == bool(only_wireshark(head))
