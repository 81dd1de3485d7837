"""command-abandoned: an ActiveSync command that one side gave up before it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import remedies
from easpcap.diagnosis import evidence
from easpcap.results import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.activesync.command import Command
    from easpcap.diagnosis.analysis_index import AnalysisIndex
    from easpcap.http.exchange import Exchange, Request
    from easpcap.results import Finding

RULE = ("command-abandoned", "warning")

BY = {"abandoned-by-client": "client", "abandoned-by-server": "server"}

#: Commands that the server holds until something happens (MS-ASCMD; Sync with Wait or HeartbeatInterval).
HELD = frozenset({"Ping", "Sync"})


def find(index: AnalysisIndex) -> Iterator[Finding]:
    """One finding per ActiveSync exchange."""
    for exchange in index.analysis.exchanges:
        request, command = exchange.request, index.command(exchange)
        if exchange.outcome in BY and request is not None and command is not None:
            yield _finding(index, exchange, request, command, BY[exchange.outcome])


def _finding(index: AnalysisIndex, exchange: Exchange, request: Request, command: Command, by: str) -> Finding:
    connection = index.connection(exchange)
    end = exchange.ended or connection.last
    age = evidence.age(index, request.first, end)
    name = command.command or request.method
    lines = [*evidence.request_begins(index, exchange), *evidence.final_response(exchange)]
    if request.complete:
        lines.append(Evidence(request.last, "the request is complete"))
    lines.append(Evidence(end, f"{evidence.ENDED_BY.get(exchange.ended_by, f'the {by} ends it')} after {age}"))
    return evidence.finding(
        index,
        RULE,
        connection,
        exchange,
        title=f"The {by} abandoned {name} {_without(exchange, by)}",
        detail=f"The {by} abandoned {name}{_device(command.device_id)} after {age}: the client had sent "
        f"{request.body_bytes:,}{_announced(request.content_length)} body bytes{_answer(exchange)}.{_held(name, by)}",
        evidence=lines,
        against=_against(exchange, name, by),
        remedies=remedies.watch_abandoned(),
        rests_on_absence=not exchange.too_late,
    )


def _without(exchange: Exchange, by: str) -> str:
    if exchange.response is None:
        return "without answering it" if by == "server" else "before an answer came"
    return "before the answer came" if exchange.too_late else "in the middle of the answer"


def _device(device_id: str | None) -> str:
    return f" of device {device_id}" if device_id else ""


def _announced(size: int | None) -> str:
    return f" of {size:,}" if size is not None else ""


def _answer(exchange: Exchange) -> str:
    response = exchange.response
    if response is None:
        return ", and no response came"
    if exchange.too_late:
        return f"; the response ({response.status}) came too late"
    return f", and the response ({response.status}) was cut off"


def _held(name: str, by: str) -> str:
    if name == "Ping" and by == "client":
        return " The server holds a Ping until mail comes or its heartbeat ends; the client did not wait for that."
    return ""


def _against(exchange: Exchange, name: str, by: str) -> list[str]:
    if name in HELD and by == "client" and exchange.request is not None and exchange.request.complete:
        return ["Clients also end a long poll on purpose: when the network changes, or to send another command."]
    return []
