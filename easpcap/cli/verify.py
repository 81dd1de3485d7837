"""Compare what easpcap sees with what Wireshark's tshark sees: handshakes, suites, requests, statuses and data.

Exit status 1: nothing explains a difference. Needs tshark 3.0 or newer. docs/verify.md describes how tshark is run.
"""

# No "from __future__ import annotations": typer reads the annotations while the program runs.
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easpcap.cli import status
from easpcap.cli.command import Command
from easpcap.cli.inputs import captures
from easpcap.cli.options import Format, Options, Severity
from easpcap.cli.run import write_analysis
from easpcap.errors import CaptureError

if TYPE_CHECKING:
    from easpcap.results import Analysis
    from easpcap.verify.second_opinion import Verification


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class VerifyOptions(Options):
    """The shared options; the data is always hashed, and findings are not looked for."""

    fail_on: Annotated[Severity | None, typer.Option("--fail-on", hidden=True)] = None
    digest: Annotated[bool, typer.Option("--digest", hidden=True)] = True


def run(options: VerifyOptions) -> int:
    """Write the comparison and return the exit status."""
    from easpcap.verify.tshark import find_tshark

    _check_rereadable(captures(options.traces))
    tshark = find_tshark()
    from easpcap.tls.secrets.session_secrets import SessionSecrets

    secrets = SessionSecrets()
    unexplained = False

    def render(analysis: "Analysis") -> Iterator[str]:
        nonlocal unexplained
        from easpcap.verify.second_opinion import verify

        verification = verify(analysis, secrets, tshark)
        unexplained = any(comparison.result == "unexplained" for comparison in verification.comparisons)
        return _render(analysis, verification, options)

    outcome = write_analysis(options, render, shows_findings=False, session_secrets=secrets)
    return status.FOUND if outcome == status.DONE and unexplained else outcome


def _check_rereadable(paths: list[str]) -> None:
    """Refuse standard input and pipes: the captures are read several times."""
    for path in paths:
        if path == "-" or (Path(path).exists() and not Path(path).is_file()):
            msg = f"{path}: verify reads a capture several times; save it as a file and give that"
            raise CaptureError(msg)


def _render(analysis: "Analysis", verification: "Verification", options: VerifyOptions) -> Iterator[str]:
    if options.format is Format.TABLE:
        from easpcap.cli.screen import layout_for
        from easpcap.report.text.verification import render_verification_text

        return render_verification_text(verification, layout_for(options))
    from easpcap.report import verification_rows

    if options.format is Format.CSV:
        from easpcap.report.table import csv_pieces

        return csv_pieces(verification_rows.rows(verification), verification_rows.CSV_COLUMNS, bom=options.bom)
    from easpcap.report.document import json_pieces, jsonl_pieces

    write = json_pieces if options.format is Format.JSON else jsonl_pieces
    sections = verification_rows.sections(analysis, verification)
    return write(verification_rows.SCHEMA, sections, verification_rows.summary(verification))


COMMAND = Command("Compare the results with those of Wireshark.", VerifyOptions, run)
