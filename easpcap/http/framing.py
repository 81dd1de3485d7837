"""How long a body is: RFC 9112 section 6.3, rule by rule, and the sizes of chunks (section 7.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.errors import DecodeError

if TYPE_CHECKING:
    from easpcap.http.head import Head

SWITCHING_PROTOCOLS: Final = 101
NO_CONTENT: Final = 204
NOT_MODIFIED: Final = 304

_BODILESS: Final = frozenset({NO_CONTENT, NOT_MODIFIED})  # beside all of 1xx

_MAX_LENGTH_DIGITS: Final = 18  # 10**18 - 1 fits 63 bits; no body is longer
_MAX_SIZE_DIGITS: Final = 15  # hexadecimal, 60 bits
_PLAIN_SIZE_LINE: Final = _MAX_SIZE_DIGITS + 2  # with its line end
_HEX: Final = b"0123456789abcdefABCDEF"


class Framing(NamedTuple):
    """How a body ends."""

    kind: str  # none, length, chunked, until-close
    length: int | None  # of a valid Content-Length, whether or not it decides
    oddity: str  # what is wrong with what was announced; "" where nothing is


_NO_BODY: Final = Framing("none", None, "")
_UNTIL_CLOSE: Final = Framing("until-close", None, "")
_CHUNKED: Final = Framing("chunked", None, "")

_new_tuple: Final = tuple.__new__  # what Framing() calls; directly it takes 0.10 instead of 0.19 us, once per message


def request_framing(head: Head) -> Framing:
    """How a request's body ends; a request without a usable length has no body."""
    return _framing(head, _NO_BODY)


def response_framing(head: Head, status: int, method: str) -> Framing:
    """How the body of a response to ``method`` ends ("" where the request is unknown)."""
    framing = _framing(head, _UNTIL_CLOSE)
    if 100 <= status < 200 or status in _BODILESS or method == "HEAD":
        return Framing("none", framing.length, framing.oddity)
    return _NO_BODY if method == "CONNECT" and is_tunnel(status, method) else framing


def is_interim(status: int) -> bool:
    """Whether a final response is still to come (RFC 9110 section 15.2); 101 ends the HTTP of a connection instead."""
    return 100 <= status < 200 and status != SWITCHING_PROTOCOLS


def is_tunnel(status: int, method: str) -> bool:
    """Whether the bytes after this response are no longer HTTP/1.x (RFC 9110 sections 9.3.6 and 15.2.2)."""
    return status == SWITCHING_PROTOCOLS or (method == "CONNECT" and 200 <= status < 300)


def _framing(head: Head, otherwise: Framing) -> Framing:
    _, _, lengths, values, _ = head
    if not values:  # nearly always
        if not lengths:
            return otherwise
        text = lengths[0]
        if len(lengths) == 1 and len(text) <= _MAX_LENGTH_DIGITS and text.isdecimal() and text.isascii():
            return _new_tuple(Framing, ("length", int(text), ""))
    elif not lengths and values == ["chunked"]:
        return _CHUNKED
    return _odd_framing(lengths, values, otherwise.kind)


def _odd_framing(lengths: list[str], values: list[str], otherwise: str) -> Framing:
    try:
        length, oddity = _content_length(lengths), ""
    except DecodeError as error:
        length, oddity = None, str(error)
    codings = [c.strip().lower() for value in values for c in value.split(",")]
    codings = [c for c in codings if c not in {"", "identity"}]  # RFC 2616 section 3.6: identity changes nothing
    if codings:
        if lengths:
            oddity = "Content-Length beside Transfer-Encoding, which decides"
        if codings[-1].partition(";")[0].rstrip() == "chunked":
            return Framing("chunked", length, oddity)
        return Framing(otherwise, length, oddity or f"the last transfer coding is {codings[-1][:40]}, not chunked")
    return Framing(otherwise if length is None else "length", length, oddity)


def _content_length(values: list[str]) -> int | None:
    """The one length announced; equal repetitions, also as a list, are accepted (RFC 9110 section 8.6)."""
    if not values:
        return None
    numbers = {number.strip(" \t") for value in values for number in value.split(",")}
    lengths = {_number(number) for number in numbers}
    if len(lengths) > 1:
        raise DecodeError("Content-Length is given more than once, with different values")
    return lengths.pop()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        msg = f"Content-Length is no number: {text[:40]!r}"
        raise DecodeError(msg)
    digits = text.lstrip("0")
    if len(digits) > _MAX_LENGTH_DIGITS:
        raise DecodeError("Content-Length is larger than any body")
    return int(digits or "0")


def skip_chunks(data: bytes, position: int) -> tuple[int, int, bool]:
    """Pass over the whole chunks of plain form that begin at ``position``, the body's end among them.

    Returns:
        Where the first chunk that is not whole or not plain begins; bytes of the chunks passed; whether the body ended.
    """
    passed = 0
    while True:
        line_end = data.find(b"\r\n", position, position + _PLAIN_SIZE_LINE)
        digits = data[position:line_end] if line_end > 0 else b""
        if not digits or digits.translate(None, _HEX):
            return position, passed, False
        size = int(digits, 16)
        end = line_end + size + 4  # after two line ends
        if data[end - 2 : end] != b"\r\n":
            return position, passed, False
        position = end
        passed += size
        if not size:
            return position, passed, True


def parse_chunk_size(line: bytes | bytearray) -> int:
    """The size in a chunk's first line; extensions are skipped (RFC 9112 section 7.1.1).

    Raises:
        DecodeError: it is no hexadecimal number, or too large for any body.
    """
    digits = line.partition(b";")[0].strip() if b";" in line else line.strip()
    if not digits or digits.translate(None, _HEX):
        msg = f"a chunk's size is no hexadecimal number but {len(line):,} other bytes"
        raise DecodeError(msg)
    digits = digits.lstrip(b"0")
    if len(digits) > _MAX_SIZE_DIGITS:
        raise DecodeError("a chunk is larger than any body")
    return int(digits or b"0", 16)
