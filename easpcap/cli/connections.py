"""One row per TCP connection: its ends, duration and TLS version, and whether it was decrypted or why not."""

from __future__ import annotations

from easpcap.cli.command import Command
from easpcap.cli.options import Options
from easpcap.cli.section import run_section


def run(options: Options) -> int:
    """Write the connections and return the exit status."""
    return run_section(options, "connections")


COMMAND = Command("One row per TCP connection.", Options, run)
