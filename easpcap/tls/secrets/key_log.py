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

_SESSION_LINE: Final = re.compile(r"RSA Session-ID:([0-9a-fA-F]*) Master-Key:([0-9a-fA-F]*)")
_SIZES: Final = {MASTER: (32, 48), PREMASTER: (8, 48), PREMASTER_BY_RANDOM: (32, None), SESSION: (None, 48)}


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
    label: str | None = None  # None: it begins with no label of a key log


def parse_key_log(data: bytes) -> Iterator[Secret | BadLine]:
    """The lines of a key log without comments and blank lines. Text in UTF-16, as Windows writes it, is accepted."""
    for number, line in enumerate(decode_text(data).splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield _parse_line(number, text)


def decode_text(data: bytes) -> str:
    """Decode text as editors and shells on any system write it: UTF-8 with or without BOM, or UTF-16."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if data[1:2] == b"\0" and data[:1] != b"\0":
        return data.decode("utf-16-le", "replace")
    if data[:1] == b"\0" and data[1:2] != b"\0":
        return data.decode("utf-16-be", "replace")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def looks_like_key_log(data: bytes) -> bool:
    """Whether one of the first lines begins with a known label."""
    lines = decode_text(data[: 2**16]).splitlines()[:200]
    return any(_label(line.strip()) is not None for line in lines)


def _label(text: str) -> str | None:
    """The label that a line begins with; None if it is not known."""
    if text.startswith("RSA Session-ID:"):
        return SESSION
    label = text.split(None, 1)[0] if text else ""
    return label if label in _SIZES or label in _TLS13_LABELS else None


def _parse_line(number: int, text: str) -> Secret | BadLine:
    label = _label(text)
    if label is None:
        return BadLine(number, "unknown-label")
    if label == SESSION:
        match = _SESSION_LINE.fullmatch(text)
        fields = list(match.groups()) if match else []
    else:
        fields = text.split()[1:]
    if len(fields) != 2:
        return BadLine(number, "not-two-fields", label)
    try:
        identifier, secret = bytes.fromhex(fields[0]), bytes.fromhex(fields[1])
    except ValueError:
        return BadLine(number, "not-hexadecimal", label)
    wanted = _SIZES.get(label, (32, None))
    for value, size in zip((identifier, secret), wanted, strict=True):
        if not value or (size is not None and len(value) != size):
            return BadLine(number, "wrong-length", label)
    return Secret(label, identifier, secret)
