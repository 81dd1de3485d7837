"""One line per exchange, or per connection if no exchange could be read. At most a screenful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.report.escape import shortened, shown
from easpcap.report.text.layout import MAX_WIDTH, columns, count
from easpcap.report.times import clock, same_day, took

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.http.exchange import Exchange, Request
    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, Connection

ROWS_SHOWN = 20
_DEVICE, _COMMAND = 2, 3
_GIVING_WAY = (_COMMAND, _DEVICE)  # on a narrow screen
_NARROWEST = 8
_WIDE_ENOUGH = 90  # below it, milliseconds and the column "took" are left out
_TOOK = 6
_OUTCOMES = {
    "completed": "completed",
    "abandoned-by-client": "client gave up",
    "abandoned-by-server": "server gave up",
    "open": "open at capture end",
    "interrupted": "packets missing",
}
_RIGHT_OF_EXCHANGES = frozenset({0, 5, _TOOK})


def device_of(analysis: Analysis, exchange: Exchange) -> str:
    """The device as people call it: the model, else the type, else the id; ``-`` if unknown."""
    command = analysis.commands.get(exchange.id)
    if command is None:
        return "-"
    return shown(command.device_name or command.device_type or command.device_id or "-")


def request_of(analysis: Analysis, exchange: Exchange) -> str:
    """The ActiveSync command, else method and target, else ``(not captured)``."""
    command = analysis.commands.get(exchange.id)
    if command is not None and command.command:
        return shown(command.command)
    if exchange.request is None:
        return "(not captured)"
    return shortened(shown(f"{exchange.request.method} {exchange.request.target}"), MAX_WIDTH)


def exchange_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """The table of exchanges; the table of connections if there is no exchange."""
    if analysis.exchanges:
        yield from _exchange_table(analysis, layout)
    elif analysis.connections:
        yield from _connection_table(analysis, layout)


def _exchange_table(analysis: Analysis, layout: Layout) -> Iterator[str]:
    chosen = _chosen(analysis)
    where = count(len({exchange.connection for exchange in analysis.exchanges}), "connection")
    yield layout.styled("Exchanges", "bold") + f" ({len(analysis.exchanges):,} on {where})\n"
    exact = layout.width >= _WIDE_ENOUGH
    times = [message.first.time_ns for e in chosen if (message := e.request or e.response) is not None]
    dated = bool(times) and not same_day(min(times), max(times))
    head = ("conn", "time", "device", "command", "status", "body", "took", "ended")
    rows = [head, *(_exchange_cells(analysis, exchange, dated=dated, exact=exact) for exchange in chosen)]
    if not exact:
        rows = [(*row[:_TOOK], *row[_TOOK + 1 :]) for row in rows]
    yield from _table(rows, _RIGHT_OF_EXCHANGES if exact else _RIGHT_OF_EXCHANGES - {_TOOK}, layout)
    left = len(analysis.exchanges) - len(chosen)
    if left > 0:
        yield f"  ... and {left:,} more (those in findings are shown first): easpcap exchanges\n"


def _chosen(analysis: Analysis) -> list[Exchange]:
    """All exchanges, or a screenful: those in findings and those that failed are preferred; in order of time."""
    if len(analysis.exchanges) <= ROWS_SHOWN:
        return analysis.exchanges
    found = {exchange.id: finding.severity for finding in analysis.findings for exchange in finding.exchanges}

    def badness(exchange: Exchange) -> tuple[int, int]:
        severity = found.get(exchange.id)
        if severity is not None:
            return ({"critical": 0, "warning": 1}.get(severity, 3), exchange.id)
        return (2 if exchange.outcome != "completed" else 4, exchange.id)

    return sorted(sorted(analysis.exchanges, key=badness)[:ROWS_SHOWN], key=lambda exchange: exchange.id)


def _exchange_cells(analysis: Analysis, exchange: Exchange, *, dated: bool, exact: bool) -> tuple[str, ...]:
    request, response = exchange.request, exchange.response
    first = (request or response).first if request or response else None  # type: ignore[union-attr]  # one of them is
    end = response.last if response is not None and response.complete else exchange.ended
    return (
        str(exchange.connection),
        clock(first.time_ns, with_date=dated, exact=exact) if first is not None else "-",
        device_of(analysis, exchange).partition(",")[0],  # the model; the findings also name its software
        request_of(analysis, exchange),
        str(response.status) if response is not None else "-",
        _body(request) if request is not None else "-",
        took(end.time_ns - first.time_ns) if end is not None and first is not None else "-",
        _ended(exchange),
    )


def _ended(exchange: Exchange) -> str:
    """How the exchange ended; a complete exchange with an error status is not called completed."""
    status = exchange.response.status if exchange.response is not None else 0
    if exchange.outcome == "completed" and 400 <= status < 600:  # error statuses, RFC 9110 section 15
        return f"refused ({status})" if status < 500 else f"failed ({status})"
    return _OUTCOMES.get(exchange.outcome, exchange.outcome) + (", answered late" if exchange.too_late else "")


def _body(request: Request) -> str:
    """``210``; ``114,688/1,261,440``; ``-`` without a body."""
    if request.framing == "none" and not request.body_bytes:
        return "-"
    if request.complete:
        return f"{request.body_bytes:,}"
    announced = f"{request.content_length:,}" if request.content_length is not None else "?"
    return f"{request.body_bytes:,}/{announced}"


def _connection_table(analysis: Analysis, layout: Layout) -> Iterator[str]:
    chosen = analysis.connections[:ROWS_SHOWN]
    dated = not same_day(chosen[0].first.time_ns, chosen[-1].first.time_ns)
    servers = {connection.server for connection in analysis.connections}
    where = f" to {servers.pop()}" if len(servers) == 1 else ""
    yield (
        layout.styled("Connections", "bold")
        + f" ({len(analysis.connections):,}{where}; no HTTP exchange could be read)\n"
    )
    head = ("conn", "time", "client", "server", "sent", "received", "lasted", "TLS", "decryption", "closed by")
    rows = [head, *(_connection_cells(connection, dated=dated) for connection in chosen)]
    if where:
        yield from _table([(*row[:3], *row[4:]) for row in rows], frozenset({0, 3, 4}), layout)
    else:
        yield from _table(rows, frozenset({0, 4, 5}), layout)
    left = len(analysis.connections) - len(chosen)
    if left > 0:
        yield f"  ... and {left:,} more: easpcap connections\n"


def _connection_cells(connection: Connection, *, dated: bool) -> tuple[str, ...]:
    tls, verdict = connection.tls, connection.decryption
    return (
        str(connection.id),
        clock(connection.first.time_ns, with_date=dated),
        str(connection.client),
        str(connection.server),
        f"{connection.payload_bytes[0]:,}",
        f"{connection.payload_bytes[1]:,}",
        took(connection.last.time_ns - connection.first.time_ns),
        (tls.version or "?").removeprefix("TLS ") if tls is not None else "-",
        verdict.reason or verdict.status,
        "(open)" if connection.closed_by == "open" else connection.closed_by.replace("-", " "),
    )


def _table(rows: Sequence[tuple[str, ...]], right: frozenset[int], layout: Layout) -> Iterator[str]:
    for number, line in enumerate(columns(_fitted(rows, layout.width - 2), right)):
        text = "  " + line
        yield (layout.styled(text, "dim") if number == 0 else text) + "\n"


def _fitted(rows: Sequence[tuple[str, ...]], width: int) -> list[list[str]]:
    """The rows with device and command shortened so that a line fits the width, if possible."""
    fitted = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*fitted, strict=True)]
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    for place in _GIVING_WAY if fitted[0][_DEVICE] == "device" else ():
        room = min(widths[place], max(_NARROWEST, widths[place] - max(excess, 0)))
        excess -= widths[place] - room
        for row in fitted:
            row[place] = shortened(row[place], room)
    return fitted
