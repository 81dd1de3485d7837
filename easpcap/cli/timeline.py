"""One row per event: in causal order within a connection, by time between connections. The default format is CSV."""

# No "from __future__ import annotations": typer reads the annotations while the program runs.
from dataclasses import dataclass

from easpcap.cli.command import Command
from easpcap.cli.options import Format, FormatOption, Options
from easpcap.cli.section import run_section


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TimelineOptions(Options):
    """The shared options, with CSV as the default format."""

    format: FormatOption = Format.CSV


def run(options: TimelineOptions) -> int:
    """Write the timeline and return the exit status."""
    return run_section(options, "timeline")


COMMAND = Command("One row per event, as CSV by default.", TimelineOptions, run)
