"""Command: the ActiveSync reading of an HTTP request ([MS-ASHTTP] 2.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.activesync.devices import name_device
from easpcap.activesync.query import Query, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

#: How the path ends: the virtual directory, and the file that IIS rewrites it to.
_ENDPOINTS: Final = ("/microsoft-server-activesync", "/default.eas")


class Command(NamedTuple):
    """What a request asks for, and which device asks; None where it does not say."""

    command: str | None  # as in MS-ASHTTP, e.g. "SendMail"; "OPTIONS" for an OPTIONS request
    user: str | None  # with its domain as written: DOMAIN\user, user@example.com
    device_id: str | None
    device_type: str | None
    protocol_version: str | None  # "12.1"
    status: int | None = None  # of the response's body
    policy_key: str | None = None
    device_name: str | None = None  # "iPhone 4, iOS 4.1", from User-Agent


def parse_command(method: str, target: str, header: Callable[[str], str | None]) -> Command | None:
    """Read a request's line and header fields (``header`` takes lower-case names); None: it is no ActiveSync."""
    path, _, text = target.partition("?")
    if not path.rstrip("/").lower().endswith(_ENDPOINTS):
        return None
    query = parse_query(text) if text else Query()
    user_agent = header("user-agent")
    return Command(
        command="OPTIONS" if method == "OPTIONS" else query.command,
        user=query.user,
        device_id=query.device_id,
        device_type=query.device_type,
        protocol_version=header("ms-asprotocolversion") or query.protocol_version,
        policy_key=header("x-ms-policykey") or query.policy_key,
        device_name=name_device(user_agent) if user_agent else None,
    )
