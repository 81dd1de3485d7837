"""What client and server send in the clear before they begin TLS, for each protocol.

Only the last bytes of either side count: the client's request before its ClientHello, and the server's answer to it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

#: How certain it is that TLS comes next.
NOTHING, ASKED, TUNNEL, AGREED = range(4)


class Announcement(NamedTuple):
    """What comes next. ``level``: NOTHING is known, TLS was ASKED for, any protocol (TUNNEL), TLS was AGREED on."""

    name: str
    level: int


class _Dialogue(NamedTuple):
    name: str
    asks: str  # the name while only the client's request was seen
    level: int  # once the server has agreed
    asked: re.Pattern[bytes]  # the client's request
    agreed: re.Pattern[bytes] | None  # the server's answer; None: there is none


def _dialogue(name: str, asked: bytes, agreed: bytes | None, level: int = AGREED) -> _Dialogue:
    asks = "STARTTLS" if b"STARTTLS" in asked else name  # several protocols have the same command
    return _Dialogue(name, asks, level, _pattern(asked), None if agreed is None else _pattern(agreed))


def _pattern(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text, re.MULTILINE | re.DOTALL)


_LINE: Final = rb"[ \t]*\r?\n"
_STARTTLS: Final = rb"^(?i:STARTTLS)" + _LINE
_TAGGED_STARTTLS: Final = rb"^[^\s]{1,64} (?i:STARTTLS)" + _LINE
_STLS: Final = rb"^(?i:STLS)" + _LINE
_AUTH_TLS: Final = rb"^(?i:AUTH (?:TLS|SSL|TLS-C|TLS-P))" + _LINE
_XMPP: Final = rb"<starttls\b[^<>]{0,200}xmpp-tls[^<>]{0,200}(?:/>|>\s{0,200}</starttls\s{0,200}>)\s{0,200}"
_POSTGRESQL: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
#: 32 bytes, the first packet after the greeting: capabilities with CLIENT_SSL (0x0800) and CLIENT_PROTOCOL_41 (0x0200),
#: greatest packet, character set, and 23 bytes of filler, of which MariaDB uses the last four.
_CAPABILITIES: Final = b"[" + b"".join(b"\\x%02x" % byte for byte in range(256) if byte & 0x0A == 0x0A) + b"]"
_MYSQL_BEGINS: Final = b"\x20\x00\x00\x01"
_MYSQL: Final = rb"\A" + _MYSQL_BEGINS + b"." + _CAPABILITIES + rb".{7}\x00{19}.{4}"


@cache
def _dialogues() -> tuple[_Dialogue, ...]:
    """All of them; compiled when a handshake may begin, which most clear text does not have."""
    return (
        _dialogue("SMTP STARTTLS", _STARTTLS + rb"\Z", rb"^220[ \r\n-]"),  # RFC 3207
        _dialogue("NNTP STARTTLS", _STARTTLS + rb"\Z", rb"^382[ \r\n]"),  # RFC 4642
        _dialogue("ManageSieve STARTTLS", _STARTTLS + rb"\Z", rb"^OK\b"),  # RFC 5804 section 2.2
        _dialogue("IRC STARTTLS", _STARTTLS + rb"\Z", rb"^(?::\S+ )?670 "),
        _dialogue("IMAP STARTTLS", _TAGGED_STARTTLS + rb"\Z", rb"^[^\s*+]\S* OK\b"),  # RFC 9051 section 6.2.1
        _dialogue("POP3 STLS", _STLS + rb"\Z", rb"^\+OK"),  # RFC 2595 section 4
        _dialogue("FTP AUTH TLS", _AUTH_TLS + rb"\Z", rb"^[23]34[ \r\n-]"),  # RFC 4217; 334 in its drafts
        _dialogue("XMPP STARTTLS", _XMPP + rb"\Z", rb"<proceed\b[^<>]*xmpp-tls"),  # RFC 6120 section 5.4
        # RFC 4511 section 4.14: an ExtendedRequest of this name, an ExtendedResponse with resultCode success
        _dialogue("LDAP StartTLS", rb"\x77.{1,5}\x80\x161\.3\.6\.1\.4\.1\.1466\.20037", rb"\x78.{1,5}\x0a\x01\x00"),
        _dialogue("PostgreSQL SSLRequest", _POSTGRESQL + rb"\Z", rb"\AS\Z"),
        _dialogue("MySQL SSLRequest", _MYSQL + rb"\Z", None),
        # [MS-RDPBCGR] 2.2.1.1 and 2.2.1.2: RDP_NEG_REQ, and an RDP_NEG_RSP that selects a protocol that begins with TLS
        _dialogue(
            "RDP negotiation",
            rb"\A\x03\x00...\xe0.*\x01.\x08\x00.{4}",
            rb"\A\x03\x00\x00\x13\x0e\xd0.{5}\x02.\x08\x00[\x01\x02\x04\x08\x10]\x00\x00\x00\Z",
        ),
        _dialogue("SOCKS5", rb"\A\x05\x01\x00[\x01\x03\x04]", rb"\A\x05\x00\x00[\x01\x03\x04]", TUNNEL),  # RFC 1928
        _dialogue("SOCKS4", rb"\A\x04\x01.{6}.*\x00\Z", rb"\A\x00\x5a.{6}\Z", TUNNEL),
    )


@cache
def _commands() -> re.Pattern[bytes]:
    """Commands that a ClientHello may follow directly, because no answer is due or none was captured."""
    return _pattern(b"|".join((_TAGGED_STARTTLS, _STARTTLS, _STLS, _AUTH_TLS, _XMPP, _POSTGRESQL, _MYSQL)))


def announced(asked: bytes, answer: bytes) -> Announcement:
    """What the client's last bytes and the server's answer (b"": not captured, or none yet) announce."""
    unanswered = Announcement("", NOTHING)
    for dialogue in _dialogues():
        if not dialogue.asked.search(asked):
            continue
        if dialogue.agreed is None or dialogue.agreed.search(answer):
            return Announcement(dialogue.name, dialogue.level)
        if not answer and dialogue.level == AGREED:
            unanswered = Announcement(dialogue.asks, ASKED)
    return unanswered


def command_end(words: bytes, start: int) -> int | None:
    """Where the first command that asks for TLS and ends after ``start`` ends; None if there is none."""
    lower = words.lower()
    if not (b"tls" in lower or b"ssl" in lower or _POSTGRESQL in words or words.startswith(_MYSQL_BEGINS)):
        return None  # almost always; a hundred times as fast as the search below
    for command in _commands().finditer(words):
        if command.end() > start:
            return command.end()
    return None
