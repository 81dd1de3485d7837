"""Recognises the format of a capture by its first bytes, never by its name.

To add a format, write its scanner (`easpcap.capture.packets.Scanner`) in a new file, and add one line to FORMATS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.capture.pcap import PcapScanner
from easpcap.capture.pcapng import PcapngScanner
from easpcap.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.capture.packets import Scanner


class Format(NamedTuple):
    """A capture format: its name in reports, and a function that opens a file by its first bytes (None: not it)."""

    name: str
    open: Callable[[bytes], Scanner | None]


FORMATS: Final = (
    Format("pcapng", PcapngScanner.open),
    Format("pcap", PcapScanner.open),
)

CONVERT: Final = "convert it first: editcap -F pcap OLD NEW"
FOREIGN_MAGICS: Final = (
    (b"GMBU", f"a NetMon 2 capture; {CONVERT}"),
    (b"RTSS", f"a NetMon 1 capture; {CONVERT}"),
    (b"snoop\0", f"a snoop capture; {CONVERT}"),
    (b"TRSNIFF data", f"a Sniffer capture; {CONVERT}"),
    (b"XCP\0", f"a NetXRay capture; {CONVERT}"),
    (b"\x7fVERSION=", f"an EtherPeek capture; {CONVERT}"),
    (b"PK\x03\x04", "a zip archive; unpack it and give the capture inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the capture inside"),
    (b"Rar!", "a RAR archive; unpack it and give the capture inside"),
    (b"MSCF", "a cabinet archive; unpack it and give the capture inside"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first: zstd -d FILE"),
    (b"\x04\x22\x4d\x18", "compressed with lz4; decompress it first: lz4 -d FILE"),
    (b"\xfd7zXZ\0", "compressed with xz; decompress it first: xz -d FILE"),
    (b"BZh", "compressed with bzip2; decompress it first: bunzip2 FILE"),
    (b"\x1f\x8b", "compressed with gzip twice; decompress it once: gunzip FILE"),
    (b"-----BEGIN", "a PEM file, no capture; give a key with --key"),
    (b"CLIENT_RANDOM", "a key log, no capture; give it with --key-log"),
    (b"# SSL/TLS secrets", "a key log, no capture; give it with --key-log"),
    (b"\x30\x82", "a DER or PKCS #12 file, no capture; give a key with --key"),
    # An ETL file has no magic; its first buffer header names its own size, 64 KiB as netsh writes it.
    (b"\x00\x00\x01\x00", "perhaps an ETL trace of netsh or pktmon; convert it first: etl2pcapng OLD NEW"),
    (b"\x00\x40\x00\x00", "perhaps an ETL trace of netsh or pktmon; convert it first: etl2pcapng OLD NEW"),
)


def scanner_for(path: str, head: bytes) -> tuple[str, Scanner]:
    """The format of a file that begins with ``head``, and its scanner; CaptureError where no scanner reads it."""
    for name, open_scanner in FORMATS:
        scanner = open_scanner(head)
        if scanner is not None:
            return name, scanner
    raise _refusal(path, head)


def _refusal(path: str, head: bytes) -> CaptureError:
    """The error for a file whose first bytes are ``head`` and that no scanner reads."""
    if not head:
        return CaptureError(f"{path}: the file is empty; take the capture again")
    for magic, what in FOREIGN_MAGICS:
        if head.startswith(magic):
            return CaptureError(f"{path}: this is {what}")
    if all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in head):
        return CaptureError(f"{path}: this is a text file, no capture; give the pcap or pcapng file itself")
    return CaptureError(f"{path}: neither pcap nor pcapng; if Wireshark opens it, {CONVERT}")
