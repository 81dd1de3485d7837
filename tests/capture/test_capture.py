"""A capture as a whole: any window, truncated anywhere, damaged anywhere; compared with tshark and scapy."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from tests.capture.rows import read, rows_of
from tests.support.packets import (
    COOKED_V1,
    START_NS,
    ethernet,
    ipv4,
    pcap_bytes,
    pcapng_block,
    pcapng_bytes,
    pcapng_interface,
    pcapng_packet,
    pcapng_secrets,
    pcapng_section,
    tcp_packet,
)

PACKETS = [
    tcp_packet(payload=b"hello"),
    tcp_packet("2001:db8::1", "2001:db8::2", payload=b"six", options=bytes(12)),
    ethernet(b"\0" * 46, 0x0806),
    tcp_packet(payload=b"x" * 300, vlans=((0x8100, 5),)),
    ethernet(ipv4("10.0.0.1", "10.0.0.2", bytes(8), protocol=17)),
    ethernet(ipv4("10.0.0.1", "10.0.0.2", bytes(20), fragment=0x2000)),
    tcp_packet(payload=b"")[:40],
    tcp_packet(payload=b"last"),
]
PCAP = pcap_bytes(PACKETS)
SIMPLE = pcapng_block(3, (60).to_bytes(4, "big") + PACKETS[0], ">")
PCAPNG = (
    pcapng_bytes(PACKETS[:4], secrets=b"CLIENT_RANDOM")
    + pcapng_section(">")
    + pcapng_interface(COOKED_V1, order=">")
    + pcapng_interface(order=">", resolution=0x94)
    + pcapng_block(4, bytes(20), ">")
    + b"".join(pcapng_packet(2**40 + n, p, order=">", interface=1) for n, p in enumerate(PACKETS))
    + pcapng_secrets(b"more", order=">")
    + SIMPLE
)
SHORT_PCAPNG = (
    pcapng_bytes(PACKETS[:1], secrets=b"key") + pcapng_bytes(PACKETS[1:3], order=">") + pcapng_block(5, b"", ">")
)
CAPTURES = pytest.mark.parametrize("data", [PCAP, PCAPNG], ids=["pcap", "pcapng"])


def facts(data: bytes, **options: int):
    """Everything that must not depend on how a capture was read."""
    capture, rows = read(data, **options)
    told = (capture.packets, capture.first_time, capture.last_time, capture.truncated, dict(capture.ignored))
    return rows, told, capture.link_types, capture.secrets, capture.sha256, capture.anomalies


@CAPTURES
@given(window=st.integers(1, 3000))
@settings(max_examples=30, deadline=None)
def test_the_window_size_does_not_change_the_result(data: bytes, window: int):
    assert facts(data, window_bytes=window) == facts(data)


@pytest.mark.parametrize("data", [pcap_bytes(PACKETS[:3]), SHORT_PCAPNG], ids=["pcap", "pcapng"])
def test_a_capture_truncated_at_any_byte_yields_all_rows_before_it(data: bytes):
    whole = read(data)[1]
    for cut in range(28, len(data)):
        capture, rows = read(data[:cut])
        assert rows == whole[: len(rows)]
        assert capture.packets <= len(PACKETS) * 2
        if not capture.truncated:  # cut between two packets or blocks
            assert not capture.anomalies
    assert not read(data)[0].truncated


def test_a_truncated_capture_counts_exactly_its_whole_packets():
    packets = PACKETS[-4:]
    data, ends = pcap_bytes(packets), [24]
    for packet in packets:
        ends.append(ends[-1] + 16 + len(packet))
    for cut in range(24, len(data)):
        capture, _ = read(data[:cut])
        whole = sum(end <= cut for end in ends) - 1
        assert (capture.packets, capture.truncated) == (whole, cut not in ends)
        if cut not in ends:
            detail = f"the last packet is cut: {cut - ends[whole]} bytes of it are left"
            assert capture.anomalies == [("capture-truncated", max(whole, 1), detail)]


@CAPTURES
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    window=st.sampled_from([64, 500, 2**16]),
)
@settings(max_examples=80, deadline=None)
def test_damage_anywhere_never_raises(data: bytes, changes: list[tuple[float, int]], window: int):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[28 + int(place * (len(data) - 28))] = value
    capture, rows = read(bytes(damaged), window_bytes=window)
    assert [row.frame for row in rows] == sorted({row.frame for row in rows})
    assert len(rows) + sum(capture.ignored.values()) == capture.packets


@given(
    st.binary(max_size=400), st.sampled_from([PCAP[:24], PCAPNG[:28]]), st.sampled_from([0, 1, 9, 105, 113, 127, 239])
)
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_a_header_yield_no_more_rows_and_bytes_than_the_file_has(
    data: bytes, head: bytes, link: int
):
    for stored in (head + data, pcap_bytes([data], link_type=link)):
        capture, rows = read(stored)
        assert len(rows) + sum(capture.ignored.values()) == capture.packets <= len(stored) // 12
        assert [row.frame for row in rows] == sorted({row.frame for row in rows})
        assert all(1 <= row.frame <= capture.packets for row in rows)
        assert all(row.payload in stored for row in rows)
        assert sum(20 + len(row.payload) for row in rows) <= len(stored)
        assert capture.truncated == bool(capture.anomalies)
        assert capture.bytes_read == len(stored)


def test_a_batch_covers_a_bounded_number_of_packets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("easpcap.capture.records.BATCH_PACKETS", 3)
    monkeypatch.setattr("easpcap.capture.pcapng.BATCH_PACKETS", 3)
    for data in (PCAP, PCAPNG):
        capture = open_capture(io.BytesIO(data))
        assert all(len(batch) <= 3 for batch in capture)
        assert capture.packets >= len(PACKETS)


def test_a_capture_is_read_once():
    capture = open_capture(io.BytesIO(PCAP))
    list(capture)
    with pytest.raises(RuntimeError, match="open it again"):
        list(capture)


@pytest.mark.parametrize("name", ["pcap", "pcapng"])
def test_captures_written_by_scapy_are_read(tmp_path: Path, name: str):
    scapy = "needs scapy: pip install scapy"
    utils = pytest.importorskip("scapy.utils", reason=scapy)
    inet = pytest.importorskip("scapy.layers.inet", reason=scapy)
    ether = pytest.importorskip("scapy.layers.l2", reason=scapy).Ether
    packets = [ether() / inet.IP(dst="10.0.0.1") / inet.TCP(seq=n, flags="PA") / bytes(n) for n in range(100)]
    for number, packet in enumerate(packets):
        packet.time = START_NS // 10**9 + number
    path = tmp_path / "capture"
    writer = utils.PcapWriter if name == "pcap" else utils.PcapNgWriter
    with writer(str(path)) as file:
        file.write(packets)
    rows = [row for batch in open_capture(path) for row in rows_of(batch)]
    assert [(row.seq, len(row.payload), row.time_ns) for row in rows] == [
        (n, n, START_NS + n * 10**9) for n in range(100)
    ]


FIELDS = "frame.number frame.time_epoch tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw tcp.len tcp.window_size_value"


def tshark_rows(path: Path) -> list[tuple[int, ...]]:
    """The same columns as tshark sees them."""
    names = [word for name in FIELDS.split() for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp.len", "-o", "ip.defragment:FALSE", "-T", "fields", *names]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = []
    for line in output.splitlines():
        number, time, *rest = line.split("\t")
        seconds, fraction = time.split(".")
        rows.append((int(number), int(seconds) * 10**9 + int(fraction.ljust(9, "0")), *map(int, rest)))
    return rows


def our_rows(path: Path) -> list[tuple[int, ...]]:
    """Our columns in the order of FIELDS."""
    rows = [row for batch in open_capture(path) for row in rows_of(batch)]
    return [(r.frame, r.time_ns, r.sport, r.dport, r.seq, r.ack, r.on_wire, r.window) for r in rows]


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle")
@CAPTURES
def test_tshark_sees_the_same_rows(tmp_path: Path, data: bytes):
    path = tmp_path / "capture"
    path.write_bytes(data.removesuffix(SIMPLE))  # a simple packet block has no time in tshark
    assert our_rows(path) == tshark_rows(path)


SHARED = Path(__file__).parents[3] / "shared" / "captures"
NAMES = [
    "public/files/ark-v6-http.pcap",
    "public/files/sv-pppoe-http.pcap",
    "lab/11d_02a_dsb.pcapng",
    "lab/11_ipv6_413.pcap",
]


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle")
@pytest.mark.parametrize("name", NAMES)
def test_tshark_sees_the_same_rows_in_real_captures(name: str):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs ../shared/captures/{name}")
    assert our_rows(path) == tshark_rows(path)


@pytest.mark.parametrize(("size", "large"), [(9000, 0), (9001, 1)])
def test_segments_larger_than_any_frame_are_counted(size, large):
    capture, rows = read(pcap_bytes([tcp_packet(payload=bytes(size))]))
    assert (len(rows), capture.large_segments) == (1, large)
