"""The server that advice is for, as its administrator names it, and what its Server header says about the product."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Host names that are safe in a command that someone pastes into a shell; any other name from the wire is left out.
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})")

PROXIES = (
    "nginx",
    "openresty",
    "squid",
    "haproxy",
    "envoy",
    "varnish",
    "big-ip",
    "bigip",
    "cloudflare",
    "traefik",
    "caddy",
    "netscaler",
)


class Site(NamedTuple):
    """Name, port and software of a server."""

    name: str | None  # a host name that is safe in a command
    port: int
    software: str | None  # the Server header
    tls13: bool = False  # it spoke TLS 1.3, which no IIS before Windows Server 2022 does


def safe_name(name: str | None) -> str | None:
    """``name`` where it can be pasted into a command, else None."""
    return name if name and HOST_NAME.fullmatch(name) else None


def is_apache(site: Site) -> bool:
    """Whether the Server header names Apache."""
    return (site.software or "").lower().startswith("apache")


def iis_version(site: Site) -> int | None:
    """The major version of IIS in the Server header, or None."""
    found = re.match(r"Microsoft-IIS/(\d{1,3})", site.software or "")
    return int(found[1]) if found else None


def proxy_name(software: str | None) -> str | None:
    """The reverse proxy that a Server header names, or None."""
    lower = (software or "").lower()
    return next((name for name in PROXIES if name in lower), None)
