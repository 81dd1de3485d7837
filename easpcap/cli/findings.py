"""One row per finding: what is wrong, how certain that is, the frames that prove it, and what to change."""

from __future__ import annotations

from easpcap.cli.command import Command
from easpcap.cli.options import Options
from easpcap.cli.section import run_section


def run(options: Options) -> int:
    """Write the findings and return the exit status."""
    return run_section(options, "findings")


COMMAND = Command("One row per finding.", Options, run)
