"""One row an event, in causal order within a connection and by time between them. CSV unless asked otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis

SUMMARY = "One row an event, CSV by default."
DEFAULT_FORMAT = Format.CSV


def render(analysis: Analysis, options: Options) -> Iterator[str]:
    """The timeline in the format asked for."""
    from easpcap.cli.section import render_section

    return render_section(analysis, options, "timeline")
