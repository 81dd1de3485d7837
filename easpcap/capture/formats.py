"""Recognises what a capture file is by its first bytes, never by its name. The one list of all formats.

A file is a stream in up to MAX_COMPRESSIONS compressions (`decompress.CODECS`). In it is a format with a scanner
(FORMATS), one that is converted to pcapng as it is read (CONVERTERS), or one that only Wireshark reads. To add a
format, write its scanner (`easpcap.capture.packets.Scanner`) in a new file, and add an entry to FORMATS.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.capture.decompress import Decompressed, codec_of
from easpcap.capture.foreign import is_text, only_wireshark, refusal
from easpcap.capture.pcap import PcapScanner
from easpcap.capture.pcapng import PcapngScanner
from easpcap.capture.resync import Search
from easpcap.capture.snoop import SnoopScanner
from easpcap.capture.source import MAGIC_BYTES
from easpcap.errors import CaptureError
from easpcap.limits import MAX_COMPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from easpcap.capture.packets import Scanner
    from easpcap.capture.source import Source, Stream
    from easpcap.capture.window import Window


class Format(NamedTuple):
    """A capture format with a scanner.

    ``open`` makes the scanner of a file from its first bytes (None: not this format), ``open_inside`` that of a capture
    that begins inside a file, where the whole header must be likely; ``begins`` is a pattern that finds such places.
    """

    name: str
    open: Callable[[bytes], Scanner | None]
    open_inside: Callable[[bytes], Scanner | None]
    begins: bytes


FORMATS: Final = (
    Format(
        "pcapng",
        PcapngScanner.open,
        PcapngScanner.open_inside,
        rb"\x0a\x0d\x0d\x0a.{4}(?:\x4d\x3c\x2b\x1a|\x1a\x2b\x3c\x4d)",
    ),
    Format(
        "pcap",
        PcapScanner.open,
        PcapScanner.open_inside,
        rb"(?:[\xd4\x4d\x34][\xc3\x3c\xcd]\xb2\xa1|[\xab\xac]\x01\x00\x1c)\x02\x00[\x00-\x04]\x00"
        rb"|(?:\xa1\xb2[\xc3\x3c\xcd][\xd4\x4d\x34]|\x1c\x00\x01[\xab\xac])\x00\x02\x00[\x00-\x04]",
    ),
    Format("snoop", SnoopScanner.open, SnoopScanner.open, rb"snoop\0\0\0\0\0\0\x02"),
)
#: A shorter file is no capture of any format.
LEAST_CAPTURE_BYTES: Final = 24
_CAPTURE: Final = re.compile(b"|".join(b"(?:" + form.begins + b")" for form in FORMATS), re.DOTALL)
#: Formats whose stream is converted to pcapng: the first bytes, the name, and the module and class of the converter,
#: which is loaded when it is needed.
CONVERTERS: Final = (((b"RTSS", b"GMBU"), "netmon", ("easpcap.capture.netmon", "NetmonStream")),)


class Opened(NamedTuple):
    """A capture that was recognised: its display name, the stream that the scanner reads, and the scanner."""

    name: str
    stream: Stream
    scanner: Scanner


def open_stream(source: Source) -> Opened:
    """Recognise a capture. Raises CaptureError, with one line that says what to do, where nothing reads it."""
    stream, suffix = _decompressed(source)
    head = stream.peek()
    if not head and stream.damage:
        msg = f"{source.path}: {stream.damage}; copy the file again"
        raise CaptureError(msg)
    for form in FORMATS:
        scanner = form.open(head)
        if scanner is not None:
            return Opened(form.name + suffix, stream, scanner)
    for magics, name, (module, converter) in CONVERTERS:
        if head.startswith(magics):
            convert = getattr(import_module(module), converter)
            return Opened(name + suffix, convert(stream, source), PcapngScanner())
    return _through_tshark(source, stream, suffix, head)


def capture_inside(head: bytes) -> tuple[str, Scanner] | None:
    """The format and scanner of a capture that begins with ``head`` inside a file; None where none does."""
    for form in FORMATS:
        scanner = form.open_inside(head)
        if scanner is not None:
            return form.name, scanner
    return None


def find_capture(window: Window, start: int, stop: int) -> Search:
    """The first place from ``start`` up to ``stop`` where another capture begins."""
    whole = window.end if window.ended else window.end - MAGIC_BYTES
    for found in _CAPTURE.finditer(window.buffer, start, max(min(stop + MAGIC_BYTES, window.end), start)):
        place = found.start()
        if place >= stop:
            break
        if place > whole:
            return Search(place, final=False)
        if capture_inside(bytes(window.buffer[place : min(place + MAGIC_BYTES, window.end)])):
            return Search(place, final=True)
    if window.ended or stop <= whole:
        return Search(None, final=True)
    return Search(max(start, whole), final=False)


def _decompressed(source: Source) -> tuple[Stream, str]:
    """The stream of the capture's uncompressed bytes, and the suffix of its format name."""
    stream: Stream = source
    suffix = ""
    for _ in range(MAX_COMPRESSIONS):
        codec = codec_of(stream.peek())
        if codec is None:
            return stream, suffix
        try:
            stream = Decompressed(stream, codec)
        except CaptureError as error:
            msg = f"{source.path}: {error}"
            raise CaptureError(msg) from error
        suffix = f"+{codec.name}{suffix}"
    return stream, suffix


def _through_tshark(source: Source, stream: Stream, suffix: str, head: bytes) -> Opened:
    """A capture that only Wireshark reads, converted by its tshark."""
    refused = refusal(head)
    if refused:
        msg = f"{source.path}: {refused}"
        raise CaptureError(msg)
    from easpcap.capture.tshark import HOW_TO_INSTALL, TsharkStream, tshark_path

    what = only_wireshark(head)
    tshark = tshark_path() if len(head) >= LEAST_CAPTURE_BYTES else None
    if tshark is None:
        reason = f"this is {what}, which is read through tshark; {HOW_TO_INSTALL}" if what else _unknown(head)
        msg = f"{source.path}: {reason}"
        raise CaptureError(msg)
    converted = TsharkStream(stream, source, tshark)
    scanner = None
    try:
        scanner = PcapngScanner.open(converted.peek())
    finally:
        if scanner is None:
            converted.close()
    if scanner is not None:
        return Opened(f"tshark{suffix}", converted, scanner)
    complaint = converted.message
    reason = f"this is {what}, but tshark cannot read it: {complaint}" if what else _unknown(head, tried=True)
    msg = f"{source.path}: {reason}"
    raise CaptureError(msg)


def _unknown(head: bytes, *, tried: bool = False) -> str:
    """Why a file that looks like no capture is not read."""
    if is_text(head):
        return "this is a text file, no capture; give the pcap or pcapng file itself"
    known = "neither pcap, pcapng, snoop nor a Network Monitor capture"
    if tried:
        return f"{known}, and tshark cannot read it either; give the capture file itself"
    return f"{known}; if Wireshark opens it, install its tshark, or save it as pcapng in Wireshark"
