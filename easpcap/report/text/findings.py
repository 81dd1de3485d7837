"""The findings in plain words, grouped by cause: the clearest case with its proof, the cause, the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.report.concern_text import concern_text
from easpcap.report.escape import shortened, shown
from easpcap.report.rows import Citer, path_text
from easpcap.report.text.cures import cure_lines
from easpcap.report.text.exchanges import device_of, request_of
from easpcap.report.text.layout import SEVERITY_STYLE, count, listed
from easpcap.report.times import same_day, span
from easpcap.results import LogLine
from easpcap.stream import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, Cause, Citation, Evidence, Finding, Overview

_INDENT = 10
_LABEL_WIDTH = 9
_EVIDENCE_SHOWN = 8
_DEVICES_NAMED = 3
_NAME_WIDTH = 24

NOT_EXCLUDED = (
    "This does not rule out faults outside this capture, on other connections, or inside the server application."
)
BLIND = (
    "That rules out very little: nothing could be decrypted, so easpcap saw only record types, sizes and times. "
    "See Decryption above."
)
EMPTY = "There was no data to examine."

#: Label, words and style of each verdict without a fault.
_VERDICTS = {
    "clear": ("OK", "No fault found.", "green"),
    "look": ("LOOK", "No cause of a fault was proven, but not all is well, or not all was read.", "yellow"),
    "blind": ("BLIND", "No fault visible.", "yellow"),
}
_CONCERNS_SHOWN = 6
PARTLY_BLIND = "Of the connections that could not be decrypted, easpcap saw only record types, sizes and times."


def finding_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """All causes, the worst first; those that only accompany a worse one and mere notices in short."""
    overview = analysis.overview
    if overview is not None and overview.verdict != "fault":
        yield from _without_fault(analysis, overview, layout)
        if analysis.findings:
            yield "\n"
    explained: set[int] = set()
    by_id = {finding.id: finding for finding in analysis.findings}
    for number, cause in enumerate(analysis.causes):
        if number:
            yield "\n"
        findings = [by_id[identity] for identity in sorted(cause.findings)]
        accompanies = all(explained.intersection(finding.related) for finding in findings)
        if cause.severity == "notice" or (accompanies and number):
            yield from _brief(analysis, cause, findings, layout)
        else:
            yield from _full(analysis, cause, findings, layout)
        explained.update(cause.findings)
    if overview is not None and overview.verdict == "fault" and overview.concerns:
        yield "\n"
        yield from layout.labelled("ALSO", "What these findings do not explain:", label_width=_INDENT, style="yellow")
        yield from _concern_lines(overview, layout)


def _without_fault(analysis: Analysis, overview: Overview, layout: Layout) -> Iterator[str]:
    """The verdict where no finding tells of a fault, and what keeps it from being clear."""
    statuses = {connection.decryption.status for connection in analysis.connections}
    readable = statuses & {"decrypted", "partial", "plaintext"}
    limits = NOT_EXCLUDED
    if "opaque" in statuses:
        limits = PARTLY_BLIND if readable else BLIND
    elif not readable:
        limits = EMPTY
    label, words, style = _VERDICTS[overview.verdict]
    yield from layout.labelled(label, f"{words} {limits}", label_width=_INDENT, style=style)
    yield from _concern_lines(overview, layout)


def _concern_lines(overview: Overview, layout: Layout) -> Iterator[str]:
    """What failed or was left unread, and is explained by no finding."""
    for concern in overview.concerns[:_CONCERNS_SHOWN]:
        yield from layout.labelled("", f"- {shown(concern_text(concern))}", label_width=_INDENT)
    more = len(overview.concerns) - _CONCERNS_SHOWN
    if more > 0:
        yield from layout.labelled("", f"- {more} more: see --format json", label_width=_INDENT)


def _full(analysis: Analysis, cause: Cause, findings: list[Finding], layout: Layout) -> Iterator[str]:
    clearest = min(findings, key=_clarity)
    yield from _head(analysis, cause, clearest, findings, layout)
    if len(findings) > 1:
        yield from layout.labelled("", f"The clearest: {_case(analysis, clearest)}", label_width=_INDENT)
    yield from _evidence_lines(analysis, clearest, layout)
    yield from _labelled("Cause", [clearest.detail], layout)
    yield from cure_lines(clearest.remedies, layout, indent=_INDENT, label_width=_LABEL_WIDTH)
    yield from _labelled("Against", clearest.against or ["Nothing in this capture speaks against it."], layout)
    yield from _labelled("Check", [f"Wireshark: {clearest.wireshark_filter}"], layout)


def _brief(analysis: Analysis, cause: Cause, findings: list[Finding], layout: Layout) -> Iterator[str]:
    clearest = min(findings, key=_clarity)
    yield from _head(analysis, cause, clearest, findings, layout)
    yield from layout.labelled("", shown(clearest.detail), label_width=_INDENT)


def _head(
    analysis: Analysis, cause: Cause, clearest: Finding, findings: list[Finding], layout: Layout
) -> Iterator[str]:
    severity = cause.severity.upper()
    yield from layout.labelled(
        severity, shown(clearest.title), label_width=_INDENT, style=SEVERITY_STYLE[cause.severity]
    )
    parts = [f"{cause.rule} ({listed(sorted({f.confidence for f in findings}, reverse=True))})"]
    if len(findings) == 1:
        parts.append(_case(analysis, clearest))
    else:
        parts.append(_how_many(analysis, cause, findings))
    if cause.first_time is not None and cause.last_time is not None:
        parts.append(span(cause.first_time, cause.last_time, known_day=_on_one_day(analysis)))
    yield from layout.labelled("", ", ".join(parts), label_width=_INDENT)


def _on_one_day(analysis: Analysis) -> bool:
    """Whether all captures are of one day: the report then gives the day once, in its first lines."""
    starts = [source.first_time for source in analysis.inputs if source.first_time is not None]
    ends = [source.last_time for source in analysis.inputs if source.last_time is not None]
    return bool(starts) and same_day(min(starts), max(ends))


def _how_many(analysis: Analysis, cause: Cause, findings: list[Finding]) -> str:
    words = [count(cause.exchanges, "exchange") if cause.exchanges else count(len(findings), "case")]
    if cause.devices:
        names = sorted({name for f in findings for e in f.exchanges if (name := device_of(analysis, e)) != "-"})
        some = ", ".join(names[:_DEVICES_NAMED]) + (", ..." if len(names) > _DEVICES_NAMED else "")
        words.append(count(cause.devices, "device") + (f" ({some})" if some else ""))
    return " of ".join(words)


def _case(analysis: Analysis, finding: Finding) -> str:
    """Which request of whom, on which connection."""
    place = f"connection {listed([str(number) for number in finding.connections[:3]])}"
    if not finding.exchanges:
        return place
    exchange = finding.exchanges[0]
    device = device_of(analysis, exchange)
    whose = f" of {device}" if device != "-" else ""
    return f"{request_of(analysis, exchange)}{whose} on {place}"


def _clarity(finding: Finding) -> tuple[bool, int, int]:
    """Proven before inferred, undisputed before disputed; then the first."""
    return (finding.confidence != "proven", len(finding.against), finding.id)


def _evidence_lines(analysis: Analysis, finding: Finding, layout: Layout) -> Iterator[str]:
    evidence = finding.evidence
    if not evidence:
        return
    if len(evidence) > _EVIDENCE_SHOWN:  # the beginning and the end tell the story
        evidence = [*evidence[: _EVIDENCE_SHOWN - 3], *evidence[-3:]]
    start = evidence[0].citation.time_ns
    places = _places(analysis, evidence)
    seconds = [f"{(e.citation.time_ns - start) / NANOSECONDS:,.3f} s" for e in evidence]
    wide = max(map(len, seconds))
    for item, place, offset in zip(evidence, places, seconds, strict=True):
        yield from layout.labelled(
            f"{place}  {offset.rjust(wide)}", shown(item.what), indent=_INDENT + 2, label_width=len(place) + wide + 4,
            style="dim",
        )  # fmt: skip


def _places(analysis: Analysis, evidence: list[Evidence]) -> list[str]:
    """``frame  58``, with several captures ``b.pcap frame 12``, for logs ``httperr1.log line 7``; all equally wide."""
    citer = Citer(analysis.inputs) if len(analysis.inputs) > 1 else None
    frames = [str(item.position.frame) for item in evidence if item.position is not None]
    wide = max(map(len, frames), default=0)
    texts = [_place(item.citation, citer, wide) for item in evidence]
    return [text.ljust(max(map(len, texts))) for text in texts]


def _place(citation: Citation, citer: Citer | None, wide: int) -> str:
    """Where to look; a frame of one of several captures by its number in that file."""
    if isinstance(citation, LogLine):
        return f"{_file_name(path_text(citation.input))} line {citation.line}"
    if citer is None:
        return f"frame {str(citation.frame).rjust(wide)}"
    path, frame = citer.cite(citation.frame)
    return f"{_file_name(path or '')} frame {frame}"


def _file_name(path: str) -> str:
    """The name without its folders, from either kind of system."""
    return shortened(shown(path.replace("\\", "/").rpartition("/")[2]), _NAME_WIDTH)


def _labelled(label: str, texts: list[str], layout: Layout) -> Iterator[str]:
    yield from layout.paragraphs(label, [shown(t) for t in texts], indent=_INDENT, label_width=_LABEL_WIDTH)
