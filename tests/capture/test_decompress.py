"""Compressed captures: every codec, whole and in pieces, several members, cut, damaged, and bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sys
from typing import TYPE_CHECKING

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from easpcap.errors import CaptureError
from tests.capture.rows import read, rows_of
from tests.support.packets import pcap_bytes, pcapng_bytes, tcp_packet

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKETS = [tcp_packet(seq=number * 100, payload=bytes([number]) * 100) for number in range(12)]
PCAP, PCAPNG = pcap_bytes(PACKETS), pcapng_bytes(PACKETS)
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
EVERY_CODEC = pytest.mark.parametrize("codec", CODECS)


@EVERY_CODEC
@pytest.mark.parametrize("plain", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("window", [1, 1000, 2**20])
def test_a_compressed_capture_is_recognised_by_its_content(codec: str, plain: bytes, window: int):
    capture, rows = read(CODECS[codec](plain), window_bytes=window)
    assert rows == read(plain)[1]
    assert capture.format == f"{read(plain)[0].format}+{codec}"
    assert (capture.truncated, capture.damaged_places) == (False, 0)


@EVERY_CODEC
def test_members_follow_each_other_wherever_they_were_cut(codec: str):
    compress = CODECS[codec]
    members = b"".join(compress(PCAP[start : start + 333]) for start in range(0, len(PCAP), 333))
    capture, rows = read(members + bytes(512), window_bytes=1000)
    assert rows == read(PCAP)[1]
    assert not capture.truncated


@EVERY_CODEC
def test_a_compressed_capture_that_is_cut_at_any_byte_gives_what_comes_before(codec: str):
    data, whole = CODECS[codec](PCAP), read(PCAP)[1]
    for cut in range(1, len(data)):
        try:
            capture, rows = read(data[:cut])
        except CaptureError:  # not even the first bytes of the capture are there
            continue
        assert rows == whole[: len(rows)]
        assert capture.truncated
        assert ("capture-damaged", f"the {codec} data ends in mid-stream") in [
            (code, detail) for code, _, detail in capture.anomalies
        ]


@EVERY_CODEC
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_damage_in_compressed_data_never_raises(codec: str, place: float, value: int):
    data = bytearray(CODECS[codec](PCAP))
    data[8 + int(place * (len(data) - 8))] ^= value
    try:
        capture, rows = read(bytes(data))
    except CaptureError:
        return
    assert len(rows) + sum(capture.ignored.values()) == capture.packets


@EVERY_CODEC
def test_bytes_after_the_data_are_reported(codec: str):
    capture, rows = read(CODECS[codec](PCAP) + b"rubbish")
    assert len(rows) == len(PACKETS)
    detail = f"bytes that are no {codec} follow the {codec} data"
    assert capture.anomalies == [("capture-damaged", len(PACKETS), detail)]


def test_a_capture_may_be_compressed_more_than_once():
    capture, rows = read(lzma.compress(gzip.compress(zstd.compress(PCAP))))
    assert rows == read(PCAP)[1]
    assert capture.format == "pcap+zstd+gzip+xz"


@pytest.mark.parametrize("skipped", [zstd, lz4.frame], ids=["zstd", "lz4"])
def test_a_frame_that_is_to_be_skipped_is_skipped(skipped):
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    capture, rows = read(skipped.compress(PCAP[:999]) + frame + skipped.compress(PCAP[999:]))
    assert rows == read(PCAP)[1]
    assert not capture.truncated


@EVERY_CODEC
def test_a_bomb_is_not_read_to_its_end(codec: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.decompress.MAX_FREELY_EXPANDED_BYTES", 10_000)
    monkeypatch.setattr("easpcap.capture.decompress.MAX_EXPANSION", 2)
    capture, rows = read(CODECS[codec](pcap_bytes([bytes(60)] * 5000)))
    assert 0 < capture.packets < 4000
    assert not rows
    (anomaly,) = [detail for code, _, detail in capture.anomalies if code == "capture-damaged"]
    assert anomaly == f"the {codec} data expands more than 2 times; if that is meant, decompress the file first"


def test_a_window_of_zstd_that_takes_too_much_memory_is_refused():
    options = {zstd.CompressionParameter.window_log: 28, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    with pytest.raises(CaptureError, match="zstd data is damaged"):
        read(compressor.compress(PCAP) + compressor.flush())


@pytest.mark.parametrize(
    ("codec", "remedy"),
    [
        ("zstd", "pip install backports.zstd"),
        ("lz4", "pip install lz4"),
        ("xz", "decompress the file first, with xz"),
        ("bzip2", "decompress the file first, with bzip2"),
    ],
)
def test_a_module_that_is_missing_is_named(codec: str, remedy: str, monkeypatch: pytest.MonkeyPatch):
    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr("easpcap.capture.decompress.importlib.import_module", missing)
    with pytest.raises(CaptureError, match=rf"compressed with {codec}, and .* is missing; {remedy}"):
        read(CODECS[codec](PCAP))


def flushed(codec: str, plain: bytes, cut: int) -> tuple[bytes, bytes]:
    """A compressed file in two parts; the first holds the bytes before ``cut`` completely."""
    if codec == "zstd":
        compressor = zstd.ZstdCompressor()
        first = compressor.compress(plain[:cut], zstd.ZstdCompressor.FLUSH_BLOCK)
        return first, compressor.compress(plain[cut:], zstd.ZstdCompressor.FLUSH_FRAME)
    return CODECS[codec](plain[:cut]), CODECS[codec](plain[cut:])


@EVERY_CODEC
def test_a_compressed_pipe_yields_its_first_packets_before_the_next_ones_are_written(codec: str):
    first, rest = flushed(codec, PCAP, len(pcap_bytes(PACKETS[:3])))
    inlet, outlet = os.pipe()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        os.write(outlet, first)
        batches = iter(open_capture(file))
        rows = rows_of(next(batches))  # blocks for ever where a batch waits for the rest
        while len(rows) < 3:
            rows += rows_of(next(batches))
        os.write(outlet, rest)
        os.close(outlet)
        rows += [row for batch in batches for row in rows_of(batch)]
    assert rows == read(PCAP)[1]
