"""Where bytes come from: paths, standard input, pipes, gzip; what is no capture; and the hash of it all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import threading
import types
import zlib
from typing import TYPE_CHECKING

import pytest

from easpcap.capture import open_capture
from easpcap.capture.capture import open_head
from easpcap.errors import CaptureError
from tests.capture.rows import read, rows_of
from tests.support.packets import START_NS, pcap_bytes, pcapng_bytes, pcapng_interface, pcapng_section, tcp_packet

if TYPE_CHECKING:
    from pathlib import Path

PACKETS = [tcp_packet(seq=number * 100, payload=bytes([number]) * 100) for number in range(50)]
PCAP, PCAPNG = pcap_bytes(PACKETS), pcapng_bytes(PACKETS)
ZIPPED = gzip.compress(PCAP, mtime=0)  # without the time of day, which would change the names of tests


@pytest.mark.parametrize("data", [PCAP, PCAPNG, ZIPPED, PCAP[:-7], ZIPPED[:-3]])
@pytest.mark.parametrize("window", [100, 3000, 2**20])
def test_the_hash_is_that_of_the_stored_file(tmp_path: Path, data: bytes, window: int):
    path = tmp_path / "capture"
    path.write_bytes(data)
    capture = open_capture(path, window_bytes=window)
    assert capture.sha256 == ""
    for _ in capture:
        pass
    assert capture.sha256 == hashlib.sha256(data).hexdigest()
    assert capture.bytes_read == capture.size == len(data)
    assert capture.path == str(path)


def test_the_hash_covers_what_cannot_be_read():
    data = PCAP + b"\xff" * 100_000
    assert read(data)[0].sha256 == hashlib.sha256(data).hexdigest()


def test_large_pieces_are_hashed_in_another_thread_with_the_same_result():
    data = pcap_bytes([tcp_packet(payload=os.urandom(1400)) for _ in range(500)])
    capture, rows = read(data, window_bytes=50_000)
    assert len(rows) == 500
    assert capture.sha256 == hashlib.sha256(data).hexdigest()


def test_no_thread_remains_after_reading():
    capture = open_capture(io.BytesIO(PCAP), window_bytes=4000)
    next(iter(capture))
    capture.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "sha256"]
    assert capture.sha256 == ""


@pytest.mark.parametrize("plain", [PCAP, PCAPNG])
def test_gzip_is_recognised_by_its_magic(plain: bytes):
    capture, rows = read(gzip.compress(plain))
    assert rows == read(plain)[1]
    assert capture.format == read(plain)[0].format + "+gzip"
    assert not capture.truncated


def test_gzip_members_follow_each_other_wherever_they_were_cut():
    members = b"".join(gzip.compress(PCAP[start : start + 333]) for start in range(0, len(PCAP), 333))
    capture, rows = read(members + bytes(512), window_bytes=1000)
    assert rows == read(PCAP)[1]
    assert not capture.truncated


def test_a_truncated_gzip_file_yields_everything_before_its_end():
    data = gzip.compress(PCAP, compresslevel=0)
    whole = read(PCAP)[1]
    for cut in range(100, len(data), 97):
        capture, rows = read(data[:cut])
        assert rows == whole[: len(rows)]
        assert capture.truncated
        assert [code for code, _, _ in capture.anomalies] == ["capture-damaged"]


def test_bytes_after_the_gzip_data_are_reported():
    capture, rows = read(gzip.compress(PCAP) + b"rubbish")
    assert len(rows) == len(PACKETS)
    assert capture.anomalies == [("capture-damaged", 50, "bytes that are no gzip follow the gzip data")]


def test_a_gzip_bomb_needs_only_the_memory_of_the_windows():
    tracemalloc = pytest.importorskip("tracemalloc", reason="needs tracemalloc: run it with CPython")
    bomb = gzip.compress(pcap_bytes([bytes(1)] * 180_001))
    tracemalloc.start()
    capture, _ = read(bomb, window_bytes=2**16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert capture.packets > 180_000
    assert peak < 3 * 2**20


def test_standard_input_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(PCAP)))
    capture = open_capture("-")
    rows = [row for batch in capture for row in rows_of(batch)]
    assert rows == read(PCAP)[1]
    assert (capture.path, capture.size, capture.sha256) == ("-", None, hashlib.sha256(PCAP).hexdigest())


def test_a_pipe_that_gives_little_at_a_time_is_read_whole():
    inlet, outlet = os.pipe()

    def write() -> None:
        with os.fdopen(outlet, "wb", buffering=0) as file:
            for start in range(0, len(PCAP), 501):
                file.write(PCAP[start : start + 501])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        capture = open_capture(file)
        rows = [row for batch in capture for row in rows_of(batch)]
    writer.join()
    assert rows == read(PCAP)[1]
    assert capture.size is None


def test_a_file_object_that_can_only_read_is_enough():
    inner = io.BytesIO(PCAP)
    capture = open_capture(types.SimpleNamespace(read=inner.read))
    assert sum(len(batch) for batch in capture) == len(PACKETS)


def test_a_disk_that_fails_is_a_capture_error():
    class Failing(io.BytesIO):
        def readinto(self, view: memoryview) -> int:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().readinto(view[:64])

    with pytest.raises(CaptureError, match="Input/output error"):
        list(open_capture(Failing(PCAP)))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + bytes(60), "zip"),
        (b"\x28\xb5\x2f\xfd\0", "zstd data ends in mid-stream; copy"),
        (b"ElfFile\0" + bytes(60), "event log"),
        (b"-----BEGIN RSA PRIVATE KEY-----\n", "PEM .*--key"),
        (b"CLIENT_RANDOM 00 11\n", "--key-log"),
        (b"\x30\x82\x01\x00" + bytes(60), "DER .*--key"),
        (b"No. Time Source\n1 0.0 10.0.0.1\n", "text file"),
        (b"\0" * 64, "neither pcap, pcapng"),
        (PCAP[:23], "neither pcap, pcapng"),
        (PCAPNG[:11], "neither pcap, pcapng"),
        (b"snoop\0\0\0" + bytes(60), "neither pcap, pcapng"),
        (gzip.compress(b"", mtime=0), "empty"),
        (gzip.compress(gzip.compress(gzip.compress(ZIPPED, mtime=0), mtime=0), mtime=0), "too often"),
        (b"\x1f\x8b", "gzip data ends in mid-stream"),
    ],
)
def test_a_file_that_is_not_a_capture_is_refused_in_one_line_that_helps(head: bytes, says: str):
    with pytest.raises(CaptureError, match=says) as error:
        open_capture(io.BytesIO(head))
    assert "\n" not in str(error.value)


def test_names_that_cannot_be_opened_are_reported(tmp_path: Path):
    with pytest.raises(CaptureError, match=r"missing\.pcap: cannot be opened"):
        open_capture(tmp_path / "missing.pcap")
    with pytest.raises(CaptureError, match="cannot be opened"):
        open_capture("nul\0in the middle")
    with pytest.raises(CaptureError):
        open_capture(tmp_path)


@pytest.mark.parametrize("data", [PCAP, PCAPNG, ZIPPED, PCAP[:200]])
def test_the_first_time_is_found_without_reading_the_rest(tmp_path: Path, data: bytes):
    path = tmp_path / "capture"
    path.write_bytes(data)
    with open_head(str(path)) as capture:
        assert capture.peek().first_time == START_NS


def test_a_capture_without_packets_has_no_first_time(tmp_path: Path):
    path = tmp_path / "capture"
    path.write_bytes(pcapng_section() + pcapng_interface())
    with open_head(str(path)) as capture:
        assert capture.peek() == (None, None, None)


@pytest.mark.parametrize("data", [PCAP, PCAPNG, ZIPPED])
def test_who_has_looked_at_the_first_packets_reads_them_all_the_same(data: bytes):
    looked, other = open_capture(io.BytesIO(data)), open_capture(io.BytesIO(data))
    assert looked.peek().first_time == START_NS
    assert [row for batch in looked for row in rows_of(batch)] == [row for batch in other for row in rows_of(batch)]
    assert looked.packets == other.packets


# ---------------------------------------------------------------------- pipes that pause


def packet_ends(data: bytes, first: int) -> int:
    """How many bytes of PCAP or PCAPNG hold the first ``first`` packets."""
    return len((pcap_bytes if data is PCAP else pcapng_bytes)(PACKETS[:first]))


def deflated(plain: bytes, cut: int) -> tuple[bytes, bytes]:
    """A gzip file of ``plain`` in two parts; the first holds the bytes before ``cut`` completely."""
    deflate = zlib.compressobj(wbits=31)
    first = deflate.compress(plain[:cut]) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return first, deflate.compress(plain[cut:]) + deflate.flush()


def two_members(plain: bytes, cut: int) -> tuple[bytes, bytes]:
    return gzip.compress(plain[:cut]), gzip.compress(plain[cut:])


def as_it_is(plain: bytes, cut: int) -> tuple[bytes, bytes]:
    return plain[:cut], plain[cut:]


@pytest.fixture(params=["raw", "buffered", "raw and not blocking"])
def pipe(request):
    """An open pipe: a file that reads from it, and the descriptor to write to."""
    inlet, outlet = os.pipe()
    if request.param == "raw and not blocking":
        os.set_blocking(inlet, False)
    with os.fdopen(inlet, "rb", buffering=-1 if request.param == "buffered" else 0) as file:
        yield file, outlet


@pytest.mark.parametrize("plain", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("stored", [as_it_is, deflated, two_members])
@pytest.mark.parametrize("beyond", [0, 30], ids=["whole packets", "and a part of the next"])
def test_a_pipe_yields_its_first_packets_before_the_next_ones_are_written(pipe, plain, stored, beyond):
    file, outlet = pipe
    first, rest = stored(plain, packet_ends(plain, 3) + beyond)
    os.write(outlet, first)
    capture = open_capture(file)
    batches = iter(capture)
    rows = rows_of(next(batches))  # blocks for ever where a batch waits for the rest
    while len(rows) < 3:
        rows += rows_of(next(batches))
    assert [row.frame for row in rows] == [1, 2, 3]
    os.write(outlet, rest)
    os.close(outlet)
    rows += [row for batch in batches for row in rows_of(batch)]
    assert rows == read(plain)[1]
    assert not capture.truncated
    assert capture.sha256 == hashlib.sha256(first + rest).hexdigest()
    assert capture.bytes_read == len(first + rest)


def test_a_capture_of_one_packet_is_read_before_its_pipe_ends(pipe):
    file, outlet = pipe
    os.write(outlet, pcap_bytes(PACKETS[:1]))
    assert [row.frame for row in rows_of(next(iter(open_capture(file))))] == [1]
    os.close(outlet)


def test_a_pipe_whose_writer_does_not_pause_fills_windows():
    data = pcap_bytes(PACKETS * 400)
    inlet, outlet = os.pipe()

    def write() -> None:
        with os.fdopen(outlet, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        capture = open_capture(file)
        sizes = [len(batch) for batch in capture]
    writer.join()
    assert sum(sizes) == len(PACKETS) * 400
    assert len(sizes) < len(data) / 65536  # a pipe holds 64 KiB


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_gzip_member_may_begin_in_two_reads(cut):
    first, second = two_members(PCAP, 1000)

    inlet, outlet = os.pipe()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        os.write(outlet, first + second[:cut])
        capture = open_capture(file)
        batches = iter(capture)
        rows = rows_of(next(batches))
        os.write(outlet, second[cut:])
        os.close(outlet)
        rows += [row for batch in batches for row in rows_of(batch)]
    assert rows == read(PCAP)[1]
    assert not capture.truncated


def gzip_member(plain: bytes, size: int) -> bytes:
    """A gzip member of exactly ``size`` bytes: the file name in its header fills it up."""
    member = gzip.compress(plain, mtime=0)
    name = b"n" * (size - len(member) - 1) + b"\0"
    return member[:3] + b"\x08" + member[4:10] + name + member[10:]


@pytest.mark.parametrize("size", [65_534, 65_535, 65_536, 65_537])
def test_a_gzip_member_may_begin_anywhere_in_what_is_read_at_a_time(size):
    """The compressed bytes are read 64 KiB at a time; the two magic bytes of the second member fall into two reads."""
    first, second = PCAP[:1000], PCAP[1000:]
    for before in (0, 64):  # the bytes that were looked at to recognise the format count, or do not
        capture, rows = read(gzip_member(first, size + before) + gzip.compress(second))
        assert rows == read(PCAP)[1]
        assert not capture.truncated


def test_a_writer_that_trickles_without_a_pause_does_not_hold_packets_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.source.QUIET_MS", 60_000)  # however busy the machine: no pause
    inlet, outlet = os.pipe()
    enough = threading.Event()
    written = []

    def write() -> None:
        with os.fdopen(outlet, "wb", buffering=0) as file:
            file.write(PCAP[: packet_ends(PCAP, 1)])
            for number in range(5000):
                if enough.wait(0.001):
                    return
                file.write(PCAP[packet_ends(PCAP, 1) : packet_ends(PCAP, 2)])
                written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(inlet, "rb", buffering=0) as file:
        batches = iter(open_capture(file))
        assert len(next(batches)) >= 1
        enough.set()
        writer.join()
        assert len(written) < 5000
        assert sum(len(batch) for batch in batches) <= len(written)
