"""The report of ``inspect`` for people: what was read, what is wrong, why, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.report.text.decryption import decryption_lines
from easpcap.report.text.layout import Layout
from easpcap.report.text.reading import input_lines, quality_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.results import Analysis

__all__ = ["Layout", "render_text"]


def render_text(analysis: Analysis, layout: Layout | None = None, *, arguments: str = "TRACE") -> Iterator[str]:
    """The report, line by line.

    Args:
        analysis: the results.
        layout: width and colour; by default 100 columns without colour.
        arguments: captures and key options as on the command line, for the suggested commands.
    """
    from easpcap.report.text.exchanges import exchange_lines  # other text reports do not need it
    from easpcap.report.text.findings import finding_lines

    layout = layout or Layout()
    yield from input_lines(analysis, layout)
    yield from decryption_lines(analysis, layout)
    yield from quality_lines(analysis, layout)
    yield "\n"
    yield from finding_lines(analysis, layout)
    if analysis.connections:
        yield "\n"
        yield from exchange_lines(analysis, layout)
        yield "\n"
        yield from _next_lines(layout, arguments)


def _next_lines(layout: Layout, arguments: str) -> Iterator[str]:
    """Suggested commands; not wrapped, so that each can be copied as one line."""
    commands = (f"easpcap timeline {arguments} -o timeline.csv", f"easpcap inspect {arguments} --format json")
    for number, command in enumerate(commands):
        yield layout.styled("Next" if not number else "    ", "bold") + " " * 8 + command + "\n"
