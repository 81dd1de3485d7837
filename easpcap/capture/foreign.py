"""What files are that no scanner reads: captures for Wireshark, event traces, archives, keys."""

from __future__ import annotations

import struct
from typing import Final

#: Captures that Wireshark reads.
WIRESHARK_MAGICS: Final = (
    (b"TRSNIFF data", "a Sniffer capture"),
    (b"XCP\0", "a NetXRay or Windows Sniffer capture"),
    (b"\x7fver", "an EtherPeek capture"),
    (b"\x7fVERSION=", "an EtherPeek capture"),
    (b"ObserverPktBuffe", "an Observer capture"),
    (b"\x05VNF", "a Visual Networks capture"),
    (b"\xaa\xaa\xaa\xaa", "a 5View capture"),
    (b"\x54\x52\x00\x64\x00", "a nettl trace of HP-UX"),
    (b"iptrace 1.0", "an iptrace capture of AIX"),
    (b"iptrace 2.0", "an iptrace capture of AIX"),
    (b"btsnoop\0", "a Bluetooth capture"),
)
#: Files that nothing reads as a capture, and what to do with them.
REFUSED_MAGICS: Final = (
    (b"PK\x03\x04", "a zip archive; unpack it and give the capture inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the capture inside"),
    (b"Rar!", "a RAR archive; unpack it and give the capture inside"),
    (b"MSCF", "a cabinet archive; unpack it and give the capture inside"),
    (b"\x02\x21\x4c\x18", "compressed with lz4 in its old form; decompress it first: lz4 -d FILE"),
    (b"\x1f\x8b", "compressed too often; decompress it once: gunzip FILE"),
    (b"ElfFile\0", "a Windows event log, no capture"),
    (b"-----BEGIN", "a PEM file, no capture; give a key with --key"),
    (b"CLIENT_RANDOM", "a key log, no capture; give it with --key-log"),
    (b"# SSL/TLS secrets", "a key log, no capture; give it with --key-log"),
    (b"\x30\x82", "a DER or PKCS #12 file, no capture; give a key with --key"),
)
CONVERT_ETL: Final = (
    "convert it first, on Windows: etl2pcapng IN.etl OUT.pcapng (netsh trace) or "
    "pktmon etl2pcap IN.etl --out OUT.pcapng (pktmon)"
)
#: The sizes of the first buffer of an ETL file with which netsh and pktmon begin.
ETL_BUFFER_SIZES: Final = (b"\x00\x00\x01\x00", b"\x00\x40\x00\x00")
ETL_TYPE_END: Final = 56
MOST_ETL_BUFFER: Final = 16 * 2**20
#: The type of the buffer with which every ETL file begins, and the bytes of a buffer's header.
ETL_HEADER_BUFFER, ETL_BUFFER_HEADER = 4, 72
#: The size of the buffer, its saved and current offset; the offset after its data, and its type.
ETL_SIZES, ETL_FILLED = struct.Struct("<III"), struct.Struct("<I2xH")


def only_wireshark(head: bytes) -> str:
    """What a file is that Wireshark reads and no scanner does; empty where that is not known."""
    return next((what for magic, what in WIRESHARK_MAGICS if head.startswith(magic)), "")


def refusal(head: bytes) -> str:
    """Why a file that begins with ``head`` is not even tried; empty where it may be a capture."""
    if not head:
        return "the file is empty; take the capture again"
    if _is_etl(head):
        return f"this is an ETL trace of Windows; {CONVERT_ETL}"
    for magic, what in REFUSED_MAGICS:
        if head.startswith(magic):
            return f"this is {what}"
    if head.startswith(ETL_BUFFER_SIZES):
        return f"this is perhaps an ETL trace of Windows; {CONVERT_ETL}"
    return ""


def is_text(head: bytes) -> bool:
    """Whether these are characters of ASCII only."""
    return all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in head)


def _is_etl(head: bytes) -> bool:
    """Whether a file begins with the header of an ETW buffer (WMI_BUFFER_HEADER) of the type that opens a trace."""
    if len(head) < ETL_TYPE_END:
        return False
    size, saved, current = ETL_SIZES.unpack_from(head)
    filled, kind = ETL_FILLED.unpack_from(head, 48)
    sizes_fit: bool = 0 < size <= MOST_ETL_BUFFER and size % 1024 == 0 and max(saved, current) <= size
    return sizes_fit and kind == ETL_HEADER_BUFFER and bool(ETL_BUFFER_HEADER <= max(filled, saved) <= size)
