"""The comparison with tshark as JSON-ready rows: schema ``easpcap.verify/1`` (docs/output.md)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from easpcap.report.escape import shortened
from easpcap.report.rows import Row, input_row, key_row
from easpcap.verify.comparison import DATA_ASPECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.results import Analysis
    from easpcap.stream import Endpoint
    from easpcap.verify.comparison import Comparison
    from easpcap.verify.limitations import Limitation
    from easpcap.verify.opinion import Opinion
    from easpcap.verify.second_opinion import Verification

SCHEMA: Final = "easpcap.verify/1"

CSV_COLUMNS: Final = (
    "connection",
    "client.address",
    "client.port",
    "server.address",
    "server.port",
    "aspect",
    "result",
    "easpcap",
    "tshark",
    "limitations",
    "explanation",
)

EXPLANATIONS: Final[dict[Limitation, str]] = {
    "lost-bytes": "Bytes of this connection are missing from the capture. tshark cannot decrypt the records after "
    "them, and may not find the next HTTP message.",
    "damaged-record": "A TLS record of this connection is damaged. tshark does not decrypt what depends on it.",
    "late-segment": "A segment was captured after later bytes had been acknowledged. tshark's Follow Stream counts it "
    "as missing; easpcap puts it in its place.",
    "ignored-segment": "The receiver ignored a segment of this connection (inspect names it among the anomalies). "
    "tshark counts its data, or lets another connection begin with it.",
    "padding": "Segments of a few zeros are padding that the IP length counts. tshark takes them for data.",
    "segmentation-offload": "Packets between these hosts have an IPv6 length of 0, because the network card was to "
    "divide them. tshark does not read them; easpcap takes their captured length.",
    "incomplete-head": "The head of the message is incomplete. tshark lists a message only when its head is complete.",
    "blank-in-target": "The request target contains a blank. tshark cuts it there; easpcap shows the blank as %20.",
    "unknown-method": "tshark lists requests only if it knows the method, and it does not know this one.",
    "post-handshake-authentication": "The client authenticated after the TLS 1.3 handshake. tshark takes its Finished "
    "for the end of the first handshake and changes keys, so it cannot decrypt what the client sends afterwards.",
    "tls-after-clear-text": "TLS begins after clear text. tshark follows that for some protocols, "
    "on their usual ports only.",
    "unsupported-suite": "easpcap does not support this cipher suite or protocol version, and tshark does.",
}

#: Requests that are named where the tools differ, and characters of each target.
_NAMED = 5
_TARGET_WIDTH = 200


def sections(analysis: Analysis, verification: Verification) -> dict[str, Iterator[Row]]:
    """The rows of a document, section by section."""
    return {
        "inputs": map(input_row, analysis.inputs),
        "keys": map(key_row, analysis.keys),
        "comparisons": rows(verification),
    }


def rows(verification: Verification) -> Iterator[Row]:
    """One row per connection and aspect."""
    return map(comparison_row, verification.comparisons)


def comparison_row(comparison: Comparison) -> Row:
    """What both tools say about one aspect of one connection."""
    connection = comparison.connection
    easpcap, tshark = both_texts(comparison)
    return {
        "connection": connection.id,
        "client": _endpoint(connection.client),
        "server": _endpoint(connection.server),
        "aspect": comparison.aspect,
        "result": comparison.result,
        "easpcap": easpcap,
        "tshark": tshark,
        "limitations": list(comparison.limitations),
        "explanation": explanation(comparison),
    }


def explanation(comparison: Comparison) -> str | None:
    """Why the tools differ, in sentences; None where they agree or nothing explains it."""
    return " ".join(EXPLANATIONS[limitation] for limitation in comparison.limitations) or None


def summary(verification: Verification) -> Row:
    """Which tshark was asked, and how many connections both tools agree on."""
    return {
        "tshark": verification.tshark,
        "connections": verification.connections,
        **connections_by_result(verification),
        "limitations": dict(sorted(Counter(name for c in verification.comparisons for name in c.limitations).items())),
    }


def connections_by_result(verification: Verification) -> dict[str, int]:
    """How many connections agree in every aspect, differ in one, or have nothing that can be compared."""
    results: dict[int, set[str]] = {}
    for comparison in verification.comparisons:
        results.setdefault(comparison.connection.id, set()).add(comparison.result)
    counts = {"agreed": 0, "explained": 0, "unexplained": 0}
    for found in results.values():
        counts[next(name for name in ("unexplained", "explained", "agreed") if name in found)] += 1
    return {**counts, "nothing_to_compare": verification.connections - len(results)}


def _endpoint(endpoint: Endpoint) -> Row:
    return {"address": endpoint.address, "port": endpoint.port}


def both_texts(comparison: Comparison) -> tuple[str, str]:
    """What easpcap and tshark say about the aspect."""
    own, other = comparison.own, comparison.other
    match comparison.aspect:
        case "handshakes":
            return _handshakes(own), _handshakes(other)
        case "cipher-suites":
            return _suites(own), _suites(other)
        case "requests":
            return _requests(own, other), _requests(other, own)
        case "statuses":
            return _statuses(own), _statuses(other)
        case "data-to-server" | "data-to-client":
            direction = DATA_ASPECTS[comparison.aspect]
            return _data(own, direction), _data(other, direction)


def _handshakes(opinion: Opinion) -> str:
    return (
        f"{opinion.client_hellos} ClientHello, {len(opinion.server_hellos)} ServerHello, "
        f"{opinion.hello_requests} HelloRequest"
    )


def _suites(opinion: Opinion) -> str:
    return _counted(Counter(f"{version} {suite}" for version, suite in opinion.server_hellos)) or "none"


def _requests(opinion: Opinion, other: Opinion) -> str:
    number = opinion.requests.total()
    text = f"{number:,} request" + "s" * (number != 1)
    only = opinion.requests - other.requests
    if not only:
        return text
    named = [f"{method} {shortened(target, _TARGET_WIDTH)}" for method, target in sorted(only.elements())]
    more = f", and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return f"{text}; only here: {', '.join(named[:_NAMED])}{more}"


def _statuses(opinion: Opinion) -> str:
    return _counted(Counter({str(status): number for status, number in sorted(opinion.statuses.items())})) or "none"


def _counted(texts: Counter[str]) -> str:
    return ", ".join(text if number == 1 else f"{text} ({number:,} times)" for text, number in texts.items())


def _data(opinion: Opinion, direction: int) -> str:
    if opinion.data is None:
        return "another connection has this number (tcp.stream)"
    data = opinion.data[direction]
    missing = f", {data.missing:,} bytes missing" if data.missing else ""
    return f"{data.bytes:,} bytes{missing}, SHA-256 {data.sha256}"
