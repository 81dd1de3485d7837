"""Captures that only Wireshark reads come through its tshark, on pipes; one that fails or hangs holds nothing up."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from easpcap.capture import open_capture
from easpcap.capture.tshark import tshark_path
from easpcap.errors import CaptureError
from tests.capture.rows import read, rows_of
from tests.support.packets import START_NS, pcap_bytes, pcapng_bytes, tcp_packet

if TYPE_CHECKING:
    from pathlib import Path

PACKETS = [(START_NS + n * 1_000_000, tcp_packet(seq=n, payload=bytes([n]) * (n + 10))) for n in range(20)]
PCAP = pcap_bytes(PACKETS, nanoseconds=False)
#: The beginning of a file in a format that only Wireshark reads.
SNIFFER = b"TRSNIFF data    \x1a" + bytes(60)

NEEDS_TSHARK = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
NEEDS_SCRIPTS = pytest.mark.skipif(sys.platform == "win32", reason="a script cannot stand in for tshark on Windows")


@pytest.fixture
def fake_tshark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that puts a Python program in the place of tshark."""

    def install(program: str) -> None:
        path = tmp_path / "tshark"
        path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{program}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr("easpcap.capture.tshark.shutil.which", lambda _: str(path))

    return install


def says_a_capture(data: bytes) -> str:
    return f"sys.stdin.buffer.read(); sys.stdout.buffer.write({data!r}); sys.stdout.flush()"


@pytest.mark.oracle
@NEEDS_TSHARK
@pytest.mark.parametrize("kind", ["5views", "ngwsniffer_2_0", "visual", "lanalyzer"])
@pytest.mark.parametrize("by_name", [True, False], ids=["a file", "a pipe"])
def test_a_foreign_capture_gives_the_same_packets(tmp_path: Path, kind: str, by_name: bool):
    path = tmp_path / "-capture"  # a name like an option
    (tmp_path / "plain").write_bytes(PCAP)
    subprocess.run(["editcap", "-F", kind, tmp_path / "plain", path], check=True)
    capture = open_capture(path if by_name else io.BytesIO(path.read_bytes()))
    rows = [row for batch in capture for row in rows_of(batch)]
    assert [(row.frame, row.seq, row.payload) for row in rows] == [(n + 1, n, bytes([n]) * (n + 10)) for n in range(20)]
    assert (capture.format, capture.truncated, capture.bytes_read) == ("tshark", False, path.stat().st_size)
    assert len(capture.sha256) == 64


def test_without_tshark_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.tshark.shutil.which", lambda _: None)
    monkeypatch.setattr("easpcap.capture.tshark.INSTALLED", {})
    with pytest.raises(
        CaptureError, match=r"this is a Sniffer capture, .*tshark; install Wireshark \(.*apt install"
    ) as error:
        read(SNIFFER)
    assert "\n" not in str(error.value)
    with pytest.raises(CaptureError, match="if Wireshark opens it, install its tshark"):
        read(bytes(range(7, 200)))


def test_tshark_is_found_where_installers_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.tshark.shutil.which", lambda _: None)
    monkeypatch.setattr("easpcap.capture.tshark.INSTALLED", {sys.platform: ("%NONE%/tshark", str(tmp_path / "tshark"))})
    assert tshark_path() is None
    (tmp_path / "tshark").touch()
    assert tshark_path() == str(tmp_path / "tshark")


def test_a_tshark_in_the_folder_of_the_evidence_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.tshark.INSTALLED", {})
    monkeypatch.chdir(tmp_path)
    for found in ("tshark", str(tmp_path / "tshark")):  # by a relative search path, or as Windows finds it
        monkeypatch.setattr("easpcap.capture.tshark.shutil.which", lambda _, found=found: found)
        assert tshark_path() is None


@NEEDS_SCRIPTS
def test_tshark_is_told_no_secret(fake_tshark, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EASPCAP_PASSWORD", "hunter2")
    fake_tshark("sys.exit('tshark: the password is ' + os.environ.get('EASPCAP_PASSWORD', 'not here'))")
    with pytest.raises(CaptureError, match="the password is not here"):
        read(SNIFFER)


@NEEDS_SCRIPTS
def test_what_tshark_writes_is_read(fake_tshark):
    fake_tshark(says_a_capture(pcapng_bytes(PACKETS)))
    capture, rows = read(SNIFFER)
    assert [row.seq for row in rows] == list(range(20))
    assert not capture.anomalies


@NEEDS_SCRIPTS
def test_a_file_that_tshark_refuses_is_refused_with_its_reason(fake_tshark):
    fake_tshark("sys.stderr.write('Running as root\\ntshark: The file is odd.\\n'); sys.exit(2)")
    with pytest.raises(CaptureError, match=r"Sniffer capture, but tshark cannot read it: The file is odd\.$"):
        read(SNIFFER)
    with pytest.raises(CaptureError, match="and tshark cannot read it either"):
        read(bytes(range(7, 200)))


@NEEDS_SCRIPTS
def test_a_tshark_that_fails_in_the_middle_gives_what_it_wrote(fake_tshark):
    fake_tshark(says_a_capture(pcapng_bytes(PACKETS)) + "; sys.stderr.write('tshark: damaged\\n'); sys.exit(2)")
    capture, rows = read(SNIFFER)
    assert len(rows) == 20
    assert capture.anomalies == [("capture-damaged", 20, "tshark: damaged")]
    assert capture.truncated


@NEEDS_SCRIPTS
def test_a_tshark_that_does_nothing_is_stopped(fake_tshark, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.tshark.MAX_TSHARK_SILENCE_S", 1)
    monkeypatch.setattr("easpcap.capture.tshark.CHECK_S", 0.1)
    fake_tshark(says_a_capture(pcapng_bytes(PACKETS)) + "; time.sleep(600)")
    capture, rows = read(SNIFFER)
    assert len(rows) == 20
    assert capture.anomalies == [("capture-damaged", 20, "tshark was stopped: it read and wrote nothing for 1 s")]


@NEEDS_SCRIPTS
def test_tshark_is_stopped_where_the_capture_is_closed(fake_tshark, tmp_path: Path):
    note = tmp_path / "pid"
    written = says_a_capture(pcapng_bytes(PACKETS))
    fake_tshark(f"open({str(note)!r}, 'w').write(str(os.getpid())); {written}; time.sleep(600)")
    capture = open_capture(io.BytesIO(SNIFFER))
    next(iter(capture))
    capture.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert not [thread for thread in threading.enumerate() if thread.name == "tshark"]


@NEEDS_SCRIPTS
def test_a_tshark_that_ends_before_its_input_does_no_harm(fake_tshark):
    fake_tshark(f"sys.stdin.buffer.read(100); sys.stdout.buffer.write({pcapng_bytes(PACKETS)!r})")
    capture, rows = read(SNIFFER + bytes(5_000_000))
    assert len(rows) == 20
    assert capture.bytes_read == len(SNIFFER) + 5_000_000
