"""Recognises the beginning of a message by its first line, as early as that is certain.

Clear text on any port may be anything, so a request line counts only with its version. A line that has not come to
its end is undecided (None), not refused.
"""

from __future__ import annotations

from typing import Final

from easpcap.limits import MAX_HTTP_START_LINE

#: Methods of the IANA registry (RFC 9110, 5789, 4918, 3253, 5842, 3744, 4437, 5323, 4791, 6352, 2068), RPC over HTTP
#: ([MS-RPCH] 2.1.2) and Exchange WebDAV.
METHODS: Final = frozenset(
    b"ACL BASELINE-CONTROL BCOPY BDELETE BIND BMOVE BPROPFIND BPROPPATCH CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD "
    b"LABEL LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY OPTIONS ORDERPATCH PATCH "
    b"POLL POST PRI PROPFIND PROPPATCH PUT QUERY REBIND REPORT RPC_IN_DATA RPC_OUT_DATA SEARCH SUBSCRIBE TRACE UNBIND "
    b"UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE UPDATEREDIRECTREF VERSION-CONTROL X-MS-ENUMATTS".split()
)

#: The client's first bytes in HTTP/2 (RFC 9113 section 3.4).
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n"

_MAX_METHOD: Final = 20
_METHOD_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
_RESPONSE: Final = b"HTTP/1."
_VERSION_SIZE: Final = len(b" HTTP/1.1")
_USUAL_ENDS: Final = (b" HTTP/1.1\r", b" HTTP/1.0\r")


def starts_response(data: bytes | bytearray, position: int) -> bool | None:
    """Whether a status line begins at ``position``; None: it may, but too little is here."""
    if data.startswith(_RESPONSE, position):
        return True
    return None if _RESPONSE.startswith(data[position : position + len(_RESPONSE)]) else False


def starts_request(data: bytes | bytearray, position: int) -> bool | None:
    """Whether an HTTP/1.x request line begins at ``position``; None: it may, but its end is not here."""
    end = data.find(b"\n", position, position + MAX_HTTP_START_LINE)
    if end < 0:
        return _may_become_request(data, position)
    if data.endswith(_USUAL_ENDS, position, end) and bytes(data[position : data.find(b" ", position)]) in METHODS:
        return True  # nearly always
    line = bytes(data[position:end]).rstrip()
    if line[-_VERSION_SIZE:-1] != b" HTTP/1.":
        return False
    method = line[: line.find(b" ")]
    return method in METHODS or _is_method(method)


def likely_request(data: bytes) -> bool:
    """Whether an unfinished request line is worth reporting: a known method, a space and some of a target."""
    method, _, target = data[: _MAX_METHOD + 2].partition(b" ")
    return bool(target) and method in METHODS


def likely_response(data: bytes) -> bool:
    """Whether an unfinished status line is worth reporting."""
    return data.startswith(b"HTTP/")


def _may_become_request(data: bytes | bytearray, position: int) -> bool | None:
    """A request line without its end: None while it can still become one."""
    beginning = data[position : position + _MAX_METHOD + 2]
    method, space, _ = beginning.partition(b" ")
    if not _is_method(method) or (len(beginning) > _MAX_METHOD and not space):
        return False
    if len(data) - position < MAX_HTTP_START_LINE:
        return None
    return bytes(method) in METHODS  # a target longer than any line we wait for


def _is_method(token: bytes | bytearray) -> bool:
    return 0 < len(token) <= _MAX_METHOD and not token.strip(_METHOD_BYTES)
