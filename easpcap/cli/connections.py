"""One row a TCP connection: who, how long, which TLS, and whether it could be decrypted and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.cli.options import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis

SUMMARY = "One row a TCP connection."
DEFAULT_FORMAT = Format.TABLE


def render(analysis: Analysis, options: Options) -> Iterator[str]:
    """The connections in the format asked for."""
    from easpcap.cli.section import render_section

    return render_section(analysis, options, "connections")
