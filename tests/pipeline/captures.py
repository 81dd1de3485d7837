"""Fixture captures split into packets, and analyses as text."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from easpcap.capture import open_capture
from easpcap.keyfiles import load_keys
from easpcap.pipeline import Analyzer, judge
from easpcap.report import render_json

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEY = str(FIXTURES / "keys" / "server.pem")
CAPTURES = sorted(FIXTURES.glob("captures/*.pcap"))
PCAP_HEADER = 24
PACKET_HEADER = 16


def packets_of(path):
    """The file header and the packets of a little-endian pcap file, headers included."""
    data = path.read_bytes()
    packets, at = [], PCAP_HEADER
    while at < len(data):
        end = at + PACKET_HEADER + struct.unpack_from("<I", data, at + 8)[0]
        packets.append(data[at:end])
        at = end
    return data[:PCAP_HEADER], packets


def read(source, *, columnar=True, window_bytes=2**20):
    """The Analysis of a capture, given as a path or as bytes."""
    keyring, files = load_keys([KEY])
    analyzer = Analyzer(keyring, digest=True, columnar=columnar)
    for batch in open_capture(io.BytesIO(source) if isinstance(source, bytes) else source, window_bytes=window_bytes):
        analyzer.feed(batch)
    return judge(analyzer.finish(), keys=files)


def as_json(analysis):
    """The JSON of an analysis without its inputs and keys."""
    analysis.inputs, analysis.keys = [], []
    return "".join(render_json(analysis))
