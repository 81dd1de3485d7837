"""What was read: the captures, and what is missing from them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from easpcap.report.citations import path_text
from easpcap.report.escape import shown
from easpcap.report.text.layout import count, listed
from easpcap.report.times import lasted, span
from easpcap.stream import TO_CLIENT, TO_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, InputFile, LocatedAnomaly

_INPUTS_SHOWN = 4
_ANOMALIES_SHOWN = 4
#: What each anomaly code means, in words that fit any number of occurrences. A gap and a truncated capture have lines
#: of their own.
ANOMALY_WORDS = {
    "capture-appended": "another capture begins inside the file",
    "capture-local-time": "times in the local time of the capturing machine, shown as UTC",
    "clock-step": "times that go back (the clock was set, or captures were joined)",
    "tcp-out-of-window": "TCP segments outside the receive window, not counted",
    "tcp-reset-ignored": "TCP resets that did not end a connection",
    "tcp-syn-ignored": "SYNs inside an open connection that opened nothing",
    "tcp-overlap-conflict": "TCP retransmissions with different content",
    "tcp-late-bytes": "TCP data that arrived after it was counted as missing",
    "tcp-data-after-close": "TCP data after FIN or RST",
    "tls-record-cut": "TLS records cut off at the end of a stream",
    "tls-bad-record": "data that is not a TLS record where one should begin",
    "tls-lost": "directions in which no TLS record could be found again after a gap",
    "tls-bad-mac": "TLS records that fail their integrity check",
    "tls-broken-message": "malformed TLS handshake messages or alerts",
    "tls-unexpected-message": "TLS handshake messages where the protocol does not allow them",
    "tls-secret-missing": "TLS 1.3 secrets missing from the key log",
    "tls-early-data-rejected": "early data (0-RTT) that the server rejected",
    "tls-draft": "connections that use a draft of TLS 1.3",
    "tls-finished-mismatch": "Finished messages that do not match the handshake",
    "http-head-too-large": "HTTP heads above the size limit",
    "http-not-a-message": "data that is not HTTP where a message should begin",
    "http-bad-chunk": "invalid chunked coding",
    "http-bad-field": "malformed HTTP header fields",
    "http-bad-length": "invalid or contradictory Content-Length fields",
    "http-bad-status": "HTTP status codes that are not three digits",
    "http-unanswered": "pipelined requests beyond the limit, without a response",
}
#: What is odd about captures as a set is said in full.
_ABOUT_SETS = frozenset({"clock-offset", "two-capture-points", "translated-connection"})
_SHOWN_ELSEWHERE = frozenset({"gap", "capture-truncated", "capture-damaged", *_ABOUT_SETS})
#: Damaged places of one file that are listed.
_DAMAGE_SHOWN = 3


def input_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """One paragraph per capture."""
    for number, source in enumerate(analysis.inputs[:_INPUTS_SHOWN]):
        yield from layout.labelled("Read" if number == 0 else "", _input(source))
    left = len(analysis.inputs) - _INPUTS_SHOWN
    if left > 0:
        yield from layout.labelled("", f"... and {count(left, 'more capture')}")


def _input(source: InputFile) -> str:
    copies = f" ({source.copies:,} of them in an earlier capture too)" if source.copies else ""
    parts = [source.format, *source.link_types[:3], count(source.packets, "packet") + copies]
    if source.first_time is not None and source.last_time is not None:
        back = source.clock_steps
        duration = "the clock was set back in between" if back else lasted(source.last_time - source.first_time)
        parts.append(f"{span(source.first_time, source.last_time)} ({duration})")
    parts.append(f"sha256 {source.sha256[:8]}...{source.sha256[-4:]}")
    return f"{shown(path_text(source.path))}: {', '.join(parts)}"


def quality_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """Whether the captures are complete, and if not, what is missing."""
    if not analysis.connections:
        ignored = _ignored(analysis)
        nothing = "no TCP connections; easpcap reads TCP only"
        nothing += f" ({ignored})" if ignored else ""
        yield from layout.paragraphs("Capture", [nothing, *_file_flaws(analysis)])
        return
    flaws = list(_flaws(analysis)) or ["complete: both directions, no gaps, no truncated packets"]
    flaws += _about_sets(analysis)
    large = sum(source.large_segments for source in analysis.inputs)
    if large:
        flaws.append(
            f"{count(large, 'segment')} captured before or after segmentation (offload): sizes are not the wire's"
        )
    ignored = _ignored(analysis)
    if ignored:
        flaws.append(f"ignored: {ignored}")
    unusual = _unusual(analysis)
    if unusual:
        flaws.append(f"unusual: {unusual}")
    yield from layout.paragraphs("Capture", flaws)


def _about_sets(analysis: Analysis) -> Iterator[str]:
    details = [anomaly.detail for anomaly in analysis.anomalies if anomaly.code in _ABOUT_SETS]
    yield from (shown(detail) for detail in details[:_ANOMALIES_SHOWN])
    if len(details) > _ANOMALIES_SHOWN:
        yield f"... and {count(len(details) - _ANOMALIES_SHOWN, 'more remark')} on how the captures belong together"


def _file_flaws(analysis: Analysis) -> Iterator[str]:
    """Where files are damaged or end in mid-packet."""
    for source in analysis.inputs:
        name = f"{shown(path_text(source.path))}: " if len(analysis.inputs) > 1 else ""
        for text in _damage(source, analysis.anomalies):
            yield name + text


def _damage(source: InputFile, anomalies: Sequence[LocatedAnomaly]) -> Iterator[str]:
    frames = range(source.first_frame, source.first_frame + max(source.packets, 1))
    here = [a for a in anomalies if a.connection is None and a.frame in frames]
    damaged = [a for a in here if a.code == "capture-damaged"]
    for anomaly in damaged[:_DAMAGE_SHOWN]:
        place = f"after frame {_frame_in(source, anomaly):,}" if source.packets else "at its beginning"
        yield f"damaged {place}: {shown(anomaly.detail)}"
    if len(damaged) > _DAMAGE_SHOWN:
        yield f"damaged in {count(len(damaged) - _DAMAGE_SHOWN, 'more place')}"
    if source.truncated and not damaged:
        yield "truncated: the file ends in mid-packet; everything before that was used"
    elif any(a.code == "capture-truncated" for a in here):
        yield "truncated: the file ends in mid-packet"


def _frame_in(source: InputFile, anomaly: LocatedAnomaly) -> int:
    """The frame's number in its file."""
    return (anomaly.frame or source.first_frame) - source.first_frame + 1


def _flaws(analysis: Analysis) -> Iterator[str]:
    connections = analysis.connections
    yield from _file_flaws(analysis)
    dropped = sum(source.dropped_packets or 0 for source in analysis.inputs)
    if dropped:
        yield f"{count(dropped, 'packet')} dropped by the capturing machine, by its own count"
    lost = [c for c in connections if any(c.gaps) and "truncated" not in str(c.decryption.reason)]
    if lost:
        total = sum(sum(connection.gaps) for connection in lost)
        share = 100 * total / (total + sum(sum(connection.payload_bytes) for connection in connections))
        yield (
            f"{count(total, 'byte')} ({share:.2g} % of all) missing from {count(len(lost), 'connection')} (packets the "
            "capture did not see)"
        )
    cut = sum("truncated" in str(c.decryption.reason) for c in connections)
    if cut:
        yield f"packets truncated by a snapshot length on {count(cut, 'connection')}: capture with -s 0"
    for direction, sender in ((TO_SERVER, "the client"), (TO_CLIENT, "the server")):
        silent = sum(c.payload_bytes[1 - direction] > 0 and c.last_data[direction] is None for c in connections)
        if silent:
            yield f"{count(silent, 'connection')} without any data from {sender}"
    late = sum(c.roles_known_by not in {"syn", "syn-ack"} for c in connections)
    if late:
        yield f"{count(late, 'connection')} had begun before the capture"
    still_open = sum(c.closed_by == "open" for c in connections)
    if still_open:
        yield f"{count(still_open, 'connection')} still open when the capture ends"


def _ignored(analysis: Analysis) -> str:
    """The number of ignored packets by reason, most frequent first."""
    reasons = sorted(analysis.packets_ignored.items(), key=lambda item: (-item[1], item[0]))
    return listed([f"{count(packets, 'packet')} ({shown(reason)})" for reason, packets in reasons[:3] if packets])


def _unusual(analysis: Analysis) -> str:
    """The most frequent anomalies in words, with how often each was seen."""
    codes = Counter(a.code for a in analysis.anomalies if a.code not in _SHOWN_ELSEWHERE).most_common()
    texts = [f"{ANOMALY_WORDS.get(code, shown(code))} ({number:,})" for code, number in codes[:_ANOMALIES_SHOWN]]
    return ", ".join(texts) + (", ..." if len(codes) > _ANOMALIES_SHOWN else "")
