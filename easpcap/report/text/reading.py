"""What was read: the captures, how good they are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from easpcap.report.escape import shown
from easpcap.report.rows import path_text
from easpcap.report.text.layout import count, listed
from easpcap.report.times import lasted, span
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, InputFile

_INPUTS_SHOWN = 4
_ANOMALIES_SHOWN = 4
_TOLD_ABOVE = frozenset({"gap", "capture-truncated"})


def input_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """One paragraph a capture."""
    for number, source in enumerate(analysis.inputs[:_INPUTS_SHOWN]):
        yield from layout.labelled("Read" if number == 0 else "", _input(source))
    left = len(analysis.inputs) - _INPUTS_SHOWN
    if left > 0:
        yield from layout.labelled("", f"... and {count(left, 'more capture')}")


def _input(source: InputFile) -> str:
    parts = [source.format, *source.link_types[:3], count(source.packets, "packet")]
    if source.first_time is not None and source.last_time is not None:
        duration = lasted(source.last_time - source.first_time)
        parts.append(f"{span(source.first_time, source.last_time)} ({duration})")
    parts.append(f"sha256 {source.sha256[:8]}...{source.sha256[-4:]}")
    return f"{shown(path_text(source.path))}: {', '.join(parts)}"


def quality_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """Whether the capture has everything that passed, and what it lacks."""
    if not analysis.connections:
        ignored = _ignored(analysis)
        nothing = "no TCP connection in it; easpcap reads TCP only"
        yield from layout.labelled("Capture", nothing + (f" ({ignored})" if ignored else ""))
        return
    flaws = list(_flaws(analysis))
    if not flaws:
        flaws = ["complete: both directions, no gaps, no packets cut"]
    ignored = _ignored(analysis)
    if ignored:
        flaws.append(f"left out: {ignored}")
    odd = _odd(analysis)
    if odd:
        flaws.append(f"odd: {odd}")
    yield from layout.paragraphs("Capture", flaws)


def _flaws(analysis: Analysis) -> Iterator[str]:
    connections = analysis.connections
    for source in analysis.inputs:
        if source.truncated:
            name = f"{shown(path_text(source.path))}: " if len(analysis.inputs) > 1 else ""
            yield f"{name}torn at its end: the last packet is incomplete, everything before it was used"
    lost = [c for c in connections if any(c.gaps) and "truncated" not in str(c.decryption.reason)]
    if lost:
        total = sum(sum(connection.gaps) for connection in lost)
        yield f"{count(total, 'byte')} missing from {count(len(lost), 'connection')} (packets the capture did not see)"
    cut = sum("truncated" in str(c.decryption.reason) for c in connections)
    if cut:
        yield f"packets cut by a snapshot length on {count(cut, 'connection')}: capture with -s 0"
    for direction, words in ((TO_SERVER, "the client"), (TO_CLIENT, "the server")):
        silent = sum(c.payload_bytes[1 - direction] > 0 and _never_seen(c.last_data[direction]) for c in connections)
        if silent:
            yield f"{count(silent, 'connection')} without any data from {words}"
    late = sum(c.roles_known_by not in {"syn", "syn-ack"} for c in connections)
    if late:
        yield f"{count(late, 'connection')} had begun before the capture"
    still_open = sum(c.closed_by == "open" for c in connections)
    if still_open:
        yield f"{count(still_open, 'connection')} still open when the capture ends"


def _never_seen(last_data: object | None) -> bool:
    return last_data is None


def _ignored(analysis: Analysis) -> str:
    """Packets that gave nothing, by reason, most frequent first."""
    reasons = sorted(analysis.packets_ignored.items(), key=lambda item: (-item[1], item[0]))
    return listed([f"{count(packets, 'packet')} ({shown(reason)})" for reason, packets in reasons[:3] if packets])


def _odd(analysis: Analysis) -> str:
    codes = Counter(a.code for a in analysis.anomalies if a.code not in _TOLD_ABOVE).most_common()
    texts = [f"{code} ({number:,})" if number > 1 else code for code, number in codes[:_ANOMALIES_SHOWN]]
    return ", ".join(texts) + (", ..." if len(codes) > _ANOMALIES_SHOWN else "")
