"""Compares two opinions on a connection, aspect by aspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from easpcap.fields import Fields
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.verify import limitations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.results import Connection
    from easpcap.verify.limitations import Limitation
    from easpcap.verify.opinion import Opinion

Aspect = Literal["handshakes", "cipher-suites", "requests", "statuses", "data-to-server", "data-to-client"]
Result = Literal["agreed", "explained", "unexplained"]

DATA_ASPECTS: Final[dict[Aspect, int]] = {"data-to-server": TO_SERVER, "data-to-client": TO_CLIENT}


class Comparison(Fields):
    """One aspect of one connection, as both tools see it."""

    connection: Connection
    aspect: Aspect
    own: Opinion
    other: Opinion
    result: Result
    limitations: list[Limitation]  # which explain a difference


def compare(connection: Connection, own: Opinion, other: Opinion) -> Iterator[Comparison]:
    """The aspects about which at least one of the two says something."""
    hellos = [(o.client_hellos, o.hello_requests, len(o.server_hellos)) for o in (own, other)]
    if any(map(any, hellos)):
        yield _compared("handshakes", connection, own, other, agree=hellos[0] == hellos[1])
        if own.server_hellos or other.server_hellos:
            yield _compared("cipher-suites", connection, own, other, agree=own.server_hellos == other.server_hellos)
    if own.requests or other.requests:
        yield _compared("requests", connection, own, other, agree=own.requests == other.requests)
    if own.statuses or other.statuses:
        yield _compared("statuses", connection, own, other, agree=own.statuses == other.statuses)
    for aspect, direction in DATA_ASPECTS.items():
        mine = own.data[direction] if own.data is not None else None
        theirs = other.data[direction] if other.data is not None else None
        if theirs is None or (mine is not None and (mine.bytes or theirs.bytes)):
            agree = mine is not None and theirs is not None and mine[:2] == theirs[:2]
            yield _compared(aspect, connection, own, other, agree=agree)


def _compared(aspect: Aspect, connection: Connection, own: Opinion, other: Opinion, *, agree: bool) -> Comparison:
    if agree:
        return Comparison(connection, aspect, own, other, "agreed", [])
    found = _explain(aspect, connection, own, other) or limitations.explain_segments(own, other)
    return Comparison(connection, aspect, own, other, "explained" if found else "unexplained", found)


def _explain(aspect: Aspect, connection: Connection, own: Opinion, other: Opinion) -> list[Limitation]:
    match aspect:
        case "handshakes" | "cipher-suites":
            return limitations.explain_handshakes(connection, own, other)
        case "requests":
            return limitations.explain_requests(connection, own, other)
        case "statuses":
            return limitations.explain_statuses(connection, own, other)
        case "data-to-server" | "data-to-client":
            return limitations.explain_data(connection, DATA_ASPECTS[aspect], own, other)
