"""Heads: from the bytes of a start line and its fields to text, with secrets taken out on the way (RFC 9112).

A witness reads what a lenient peer would have read: bare LF, folded lines and blanks before the colon are accepted.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from easpcap.limits import MAX_HTTP_FIELDS, MAX_SHARED_HEADERS

#: Fields whose values are credentials: they are replaced here and so can reach no output.
SECRET_FIELDS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "cookie2", "set-cookie2"}
)

_SCHEME_FIELDS: Final = frozenset({"authorization", "proxy-authorization"})
_REDACTED: Final = "(redacted)"
_SPECIAL: Final = SECRET_FIELDS | {"content-length", "transfer-encoding"}
_STATUS_DIGITS: Final = 3
_SHORT: Final = 200  # characters of a header line that is worth remembering

#: Fields by their lines: header lines repeat from message to message, and are parsed and kept once.
_KNOWN: Final[dict[str, tuple[str, str]]] = {}


class Head(NamedTuple):
    """A message's head, cut into its parts but not yet judged."""

    start: str  # the start line
    headers: list[tuple[str, str]]  # names in lower case; credentials redacted
    lengths: list[str]  # values of Content-Length
    codings: list[str]  # values of Transfer-Encoding
    oddity: str  # what is wrong with its fields; "" where nothing is


def head_end(data: bytes | bytearray, position: int) -> int:
    """Offset behind the blank line that ends a head; -1 where it is not here. Bare LF counts (RFC 9112 section 2.2)."""
    crlf = data.find(b"\n\r\n", position)
    bare = data.find(b"\n\n", position) if crlf < 0 else data.find(b"\n\n", position, crlf)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1


def parse_head(head: bytes, *, whole: bool = True) -> Head:
    """Cut a head into start line and fields. Of one that is not ``whole`` the unfinished last field is left out."""
    text = head.decode("latin-1")
    if not whole and "\n" in text:
        text = text[: text.rindex("\n")]
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1:
        lines = [line.removesuffix("\r") for line in text.split("\n")]
    if "\n " in text or "\n\t" in text:
        lines = _unfold(lines)
    return _read_fields(lines)


def _unfold(lines: list[str]) -> list[str]:
    """Join obsolete line folding (RFC 9112 section 5.2): a line that begins with a blank continues the one before."""
    joined = [lines[0]]
    folded: list[str] = []
    for line in lines[1:]:
        if line[:1] in {" ", "\t"} and len(joined) > 1:
            folded.append(line.strip(" \t"))
            continue
        if folded:
            joined[-1] = " ".join([joined[-1], *folded])
            folded = []
        joined.append(line)
    if folded:
        joined[-1] = " ".join([joined[-1], *folded])
    return joined


def _read_fields(lines: list[str]) -> Head:
    headers: list[tuple[str, str]] = []
    lengths: list[str] = []
    codings: list[str] = []
    oddity = ""
    add, known = headers.append, _KNOWN.get
    for line in lines[1 : MAX_HTTP_FIELDS + 1]:
        field = known(line)
        if field is None:
            name, colon, value = line.partition(":")
            if not colon:
                if line.strip():
                    oddity = "a header line without a colon"
                continue
            field = _field(line, name.strip(" \t").lower(), value.strip(" \t"))
            if field[0] == "content-length":
                lengths.append(field[1])
            elif field[0] == "transfer-encoding":
                codings.append(field[1])
        add(field)
    if len(lines) > MAX_HTTP_FIELDS + 3:  # the start line and the blank ones at the end are no fields
        oddity = f"more than {MAX_HTTP_FIELDS:,} header lines"
    return Head(lines[0], headers, lengths, codings, oddity)


def _field(line: str, name: str, value: str) -> tuple[str, str]:
    """One field; those of no special meaning are remembered by their lines."""
    if name in _SPECIAL:
        return (name, redact(name, value) if name in SECRET_FIELDS else value)
    field = (name, value)
    if len(line) <= _SHORT:
        if len(_KNOWN) >= MAX_SHARED_HEADERS:
            _KNOWN.clear()
        _KNOWN[line] = field
    return field


def redact(name: str, value: str) -> str:
    """What may be shown of a credential: the scheme of an Authorization, nothing else."""
    if name in _SCHEME_FIELDS:
        scheme, space, _ = value.partition(" ")
        if space and scheme.isascii() and scheme.isalpha():
            return f"{scheme} {_REDACTED}"
    return _REDACTED


def parse_request_line(line: str) -> tuple[str, str, str]:
    """Method, target, version (RFC 9112 section 3); what is not there is ""."""
    method, _, rest = line.rstrip(" ").partition(" ")
    target, space, version = rest.rpartition(" ")
    if not space or not version.startswith("HTTP/"):
        target, version = rest, ""
    if not (target.isascii() and target.isprintable()) or " " in target:
        target = "".join(c if "!" <= c <= "~" else f"%{ord(c):02X}" for c in target)
    return method, target, version


def parse_status_line(line: str) -> tuple[str, int, str]:
    """Version, status, reason (RFC 9112 section 4); status 0 where it is no number of three digits."""
    version, _, rest = line.partition(" ")
    status, _, reason = rest.lstrip(" ").partition(" ")
    if len(status) == _STATUS_DIGITS and status.isascii() and status.isdecimal():
        return version, int(status), reason.strip(" ")
    return version, 0, rest.strip(" ")
