"""The query of an ActiveSync request: plain text or base64 ([MS-ASHTTP] 2.2.1.1.1)."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_to_bytes

from easpcap.errors import DecodeError
from easpcap.fields import Fields
from easpcap.wire import Reader

#: Commands by their codes ([MS-ASHTTP] 2.2.1.1.1.1.2).
COMMANDS: Final = {
    0: "Sync", 1: "SendMail", 2: "SmartForward", 3: "SmartReply", 4: "GetAttachment", 9: "FolderSync",
    10: "FolderCreate", 11: "FolderDelete", 12: "FolderUpdate", 13: "MoveItems", 14: "GetItemEstimate",
    15: "MeetingResponse", 16: "Search", 17: "Settings", 18: "Ping", 19: "ItemOperations", 20: "Provision",
    21: "ResolveRecipients", 22: "ValidateCert", 23: "Find",
}  # fmt: skip

_VERSIONS: Final = frozenset({120, 121, 140, 141, 160, 161})  # the protocol version times ten
_SMALLEST: Final = 7  # bytes of a base64 query whose fields are all empty
_KEY_SIZE: Final = 4
_USER_TAG: Final = 8
_MAX_QUERY: Final = 8192
_URL_ALPHABET: Final = str.maketrans("-_", "+/")


class Query(Fields):
    """What the query says; None where it does not."""

    command: str | None = None
    user: str | None = None
    device_id: str | None = None
    device_type: str | None = None
    protocol_version: str | None = None
    policy_key: str | None = None


def parse_query(text: str) -> Query:
    """Read either form. Whatever cannot be read is left out; what comes before it is kept."""
    packed = _unpack(text[:_MAX_QUERY])
    if packed is None:
        return _parse_plain(text)
    query = Query()
    with suppress(DecodeError):  # what comes before a broken part is kept
        _parse_packed(Reader(packed), query)
    return query


def _parse_plain(text: str) -> Query:
    """Parameters by name, in any order ([MS-ASHTTP] 2.2.1.1.1.2); the first of a name counts."""
    found: dict[str, str] = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.lower(), value)
    return Query(*[_decode(found.get(name, "")) or None for name in ("cmd", "user", "deviceid", "devicetype")])


def _unpack(text: str) -> bytes | None:
    """The bytes of a base64 query, also with the alphabet of URLs and without padding; None: it is plain text."""
    if "&" in text:  # nearly always
        return None
    encoded = _decode(text).rstrip("=").translate(_URL_ALPHABET)
    if "=" in encoded or "&" in encoded or not encoded.isascii():
        return None
    try:
        packed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return None
    return packed if len(packed) >= _SMALLEST and packed[0] in _VERSIONS else None


def _parse_packed(reader: Reader, query: Query) -> None:
    """Version, command, locale, device id, policy key, device type, then tagged values."""
    version = reader.uint(1)
    query.protocol_version = f"{version // 10}.{version % 10}"
    code = reader.uint(1)
    query.command = COMMANDS.get(code, f"command {code}")
    reader.take(2)  # locale
    query.device_id = _text(reader.vector(1))
    key = reader.vector(1)
    if len(key) == _KEY_SIZE:
        query.policy_key = str(int.from_bytes(key, "little"))
    query.device_type = _text(reader.vector(1))
    while len(reader):
        tag, value = reader.uint(1), reader.vector(1)
        if tag == _USER_TAG:
            query.user = _text(value)


def _text(value: bytes) -> str | None:
    """Text where it is printable, else hexadecimal: some devices send 16 raw bytes as their id."""
    if not value:
        return None
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() and "\ufffd" not in text else value.hex()


def _decode(text: str) -> str:
    """Percent-decoded text; bytes that are not UTF-8 are taken for Latin-1."""
    if "%" not in text:
        return text
    octets = unquote_to_bytes(text)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
