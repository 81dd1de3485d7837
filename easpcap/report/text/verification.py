"""The comparison with tshark for people."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final, get_args

from easpcap.report.escape import shown
from easpcap.report.text.layout import columns, count
from easpcap.report.verification_rows import both_texts, connections_by_result, explanation
from easpcap.verify.comparison import Aspect, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.report.text.layout import Layout
    from easpcap.verify.comparison import Comparison
    from easpcap.verify.second_opinion import Verification

#: Differences shown; CSV and JSON have all of them.
_SHOWN: Final = 20
_STYLES: Final = {"explained": "cyan", "unexplained": "red"}


def render_verification_text(verification: Verification, layout: Layout) -> Iterator[str]:
    """What was compared, how often both agree, and every difference with its explanation."""
    yield from layout.labelled(
        "Verified", f"with tshark {verification.tshark} (Wireshark's dissectors, through pyshark)"
    )
    yield from layout.labelled("Connections", _connections(verification))
    if not verification.comparisons:
        return
    yield "\n"
    yield from _aspects(verification)
    differences = [c for c in verification.comparisons if c.result != "agreed"]
    differences.sort(key=lambda comparison: comparison.result != "unexplained")
    for comparison in islice(differences, _SHOWN):
        yield "\n"
        yield from _difference(comparison, layout)
    if len(differences) > _SHOWN:
        yield f"\n{count(len(differences) - _SHOWN, 'more difference')}: --format csv lists all of them\n"


def _connections(verification: Verification) -> str:
    counts = connections_by_result(verification)
    text = f"{verification.connections:,}; both tools agree on {counts['agreed']:,}"
    if counts["explained"]:
        text += f"; a known limitation explains the differences on {counts['explained']:,}"
    if counts["unexplained"]:
        text += f"; nothing explains the differences on {counts['unexplained']:,}"
    if counts["nothing_to_compare"]:
        text += f"; {counts['nothing_to_compare']:,} without anything to compare"
    return text


def _aspects(verification: Verification) -> Iterator[str]:
    counted = Counter((comparison.aspect, comparison.result) for comparison in verification.comparisons)
    aspects: tuple[Aspect, ...] = get_args(Aspect)
    results: tuple[Result, ...] = get_args(Result)
    rows = [["compared", *results]]
    for aspect in aspects:
        numbers = [counted[aspect, result] for result in results]
        if any(numbers):
            rows.append([aspect, *(f"{number:,}" for number in numbers)])
    yield from (line + "\n" for line in columns(rows, frozenset({1, 2, 3})))


def _difference(comparison: Comparison, layout: Layout) -> Iterator[str]:
    connection = comparison.connection
    head = layout.styled(comparison.result.upper(), _STYLES[comparison.result])
    yield f"{head}  {comparison.aspect} of connection {connection.id} ({connection.client} to {connection.server})\n"
    easpcap, tshark = both_texts(comparison)
    why = explanation(comparison) or "not known. Please compare the connection in Wireshark, and report it as a fault."
    for label, text in (("easpcap", easpcap), ("tshark", tshark), ("Why", why)):
        yield from layout.labelled(label, shown(text), indent=2, label_width=9)
    yield from layout.labelled("Check", f"Wireshark: tcp.stream eq {connection.id}", indent=2, label_width=9)
