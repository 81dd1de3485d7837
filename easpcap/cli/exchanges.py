"""One row per HTTP exchange: request, response, ActiveSync command, and how it ended."""

from __future__ import annotations

from easpcap.cli.command import Command
from easpcap.cli.options import Options
from easpcap.cli.section import run_section


def run(options: Options) -> int:
    """Write the exchanges and return the exit status."""
    return run_section(options, "exchanges")


COMMAND = Command("One row per HTTP exchange.", Options, run)
