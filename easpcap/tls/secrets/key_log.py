"""Key logs: the lines that programs write to SSLKEYLOGFILE (RFC 9850), and two older forms of Wireshark and OpenSSL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.key_problems import LineProblem

#: Labels besides those of TLS 1.3: for the premaster secret, found by the encrypted premaster secret or by the client
#: random, and for the master secret, found by the session id or by the client random.
PREMASTER: Final = "RSA"
PREMASTER_BY_RANDOM: Final = "PMS_CLIENT_RANDOM"
SESSION: Final = "Session-ID"
MASTER: Final = "CLIENT_RANDOM"

#: The labels of RFC 9850 section 2.1, and the TLS 1.3 labels of older tools.
_TLS13_LABELS: Final = frozenset(
    {
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "EARLY_EXPORTER_MASTER_SECRET",
        "EARLY_EXPORTER_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
        "ECH_SECRET",
        "ECH_CONFIG",
    }
)

_HEAD: Final = 2**16
_SIZES: Final = {MASTER: (32, 48), PREMASTER: (8, 48), PREMASTER_BY_RANDOM: (32, None), SESSION: (None, 48)}

_TWO_FIELDS: Final = frozenset({*_SIZES, *_TLS13_LABELS} - {SESSION})
_LABELS: Final = "|".join(sorted(_TWO_FIELDS, key=len, reverse=True))
_BETWEEN: Final = r"[\s\"',]++"
#: Other words may come before the label (a time, a host, a program) and after the secret.
_SECRET: Final = (
    rf"(?<![A-Z_])(?:({_LABELS}){_BETWEEN}([0-9a-fA-F]++){_BETWEEN}([0-9a-fA-F]++)"
    r"|RSA\s++Session-ID:\s*+([0-9a-fA-F]*+)\s*+Master-Key:\s*+([0-9a-fA-F]++))(?![0-9A-Za-z])"
)
_LABEL: Final = rf"(?<![A-Z_])(?:(RSA\s++Session-ID):|({_LABELS})(?![0-9A-Za-z_]))"


class Secret(NamedTuple):
    """One usable line. ``identifier`` says which connection ``secret`` belongs to; its kind depends on ``label``."""

    label: str
    identifier: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Secret({self.label})"


class BadLine(NamedTuple):
    """A line that is no secret, by its number from 1; nothing of it is kept but its label."""

    number: int
    problem: LineProblem
    label: str | None = None  # None: there is no label of a key log in it


def parse_key_log(data: bytes) -> Iterator[Secret | BadLine]:
    """The lines of a key log without comments and blank lines.

    Text in UTF-16, as Windows writes it, is accepted, and so are words around label, identifier and secret: lines may
    come out of syslog or a program's own log. Zeros that fill a secret up to a longer buffer are cut off where its
    length is known; those of TLS 1.3 depend on the suite (``secret_of_size``).
    """
    for number, line in enumerate(decode_text(data).splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield from _parse_line(number, text)


def decode_text(data: bytes) -> str:
    """Decode text as editors and shells on any system write it: UTF-8 with or without BOM, UTF-16, or one after other.

    PowerShell appends UTF-16 to files in UTF-8, and other programs UTF-8 to files in UTF-16. Keys and key logs are
    ASCII, so of UTF-16 the zeros are left out.
    """
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"):
        data = data.removeprefix(mark)
    return data.replace(b"\0", b"").decode("utf-8", "replace")


def looks_like_key_log(data: bytes) -> bool:
    """Whether a line begins with a known label, or holds a secret anywhere."""
    return any(
        re.match(_LABEL, line.lstrip()) or re.search(_SECRET, line)
        for part in (data[:_HEAD], data)
        for line in decode_text(part).splitlines()
    )


def secret_of_size(secret: bytes, size: int) -> bytes | None:
    """A secret without the zeros that fill it up; None where it cannot be one of ``size`` bytes."""
    return secret[:size] if len(secret) >= size and not any(secret[size:]) else None


def _parse_line(number: int, text: str) -> list[Secret | BadLine]:
    """The secrets in a line; where there is none, what is wrong with it."""
    fields = text.split()
    if len(fields) == 3 and fields[0] in _TWO_FIELDS:  # nearly all lines; the pattern takes twice as long
        secret = _parse_fields(number, *fields)
        if isinstance(secret, Secret):
            return [secret]
    found = [_parse_match(number, match) for match in re.finditer(_SECRET, text)]
    if len(found) < 2:
        return found or [_without_fields(number, text)]
    return [each for each in found if isinstance(each, Secret)] or found[:1]


def _parse_match(number: int, match: re.Match[str]) -> Secret | BadLine:
    label, random, secret, session_id, master = match.groups()
    return (
        _parse_fields(number, SESSION, session_id, master)
        if label is None
        else _parse_fields(number, label, random, secret)
    )


def _parse_fields(number: int, label: str, first: str, second: str) -> Secret | BadLine:
    try:
        identifier, value = bytes.fromhex(first), bytes.fromhex(second)
    except ValueError:
        return BadLine(number, "not-hexadecimal", label)
    identifier_size, size = _SIZES.get(label, (32, None))
    if size is not None and len(value) != size:
        value = secret_of_size(value, size) or b""
    if not value or (identifier_size is not None and len(identifier) != identifier_size):
        return BadLine(number, "wrong-length", label)
    return Secret(label, identifier, value)


def _without_fields(number: int, text: str) -> BadLine:
    """What is wrong with a line that is not a label with two hexadecimal fields."""
    match = re.search(_LABEL, text)
    if match is None:
        return BadLine(number, "unknown-label")
    label = SESSION if match[1] else match[2]
    two_fields = len(text[match.end() :].split()) > 1
    return BadLine(number, "not-hexadecimal" if two_fields else "not-two-fields", label)
