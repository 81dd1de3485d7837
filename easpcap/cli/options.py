"""The options that every command takes: their types, their help texts, their defaults. Nothing here runs a command.

A command with options of its own derives a class from Options. ``command.py`` turns the class into a typer command.
"""

# No "from __future__ import annotations": typer reads the annotations while the program runs.
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How the data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Severity(StrEnum):
    """The severities of findings, as --fail-on takes them."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Output format.")]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Options:
    """The options of one run. The order of the fields is their order in --help."""

    traces: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE...",
            help="Captures (pcap or pcapng, may be gzipped), patterns or folders of them; - is standard input.",
        ),
    ]
    keys: Annotated[
        list[str],
        typer.Option(
            "--key", "-k", metavar="FILE", help="Private key (PEM, DER, PKCS#12), pattern or folder. Repeatable."
        ),
    ] = field(default_factory=list)
    key_logs: Annotated[
        list[str],
        typer.Option("--key-log", metavar="FILE", help="NSS key log (SSLKEYLOGFILE), or a pattern. Repeatable."),
    ] = field(default_factory=list)
    password_file: Annotated[
        str | None,
        typer.Option(
            "--password-file",
            metavar="FILE",
            help="File with the password of the keys; without it EASPCAP_PASSWORD is used.",
        ),
    ] = None
    format: FormatOption = Format.TABLE
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write to this file; - is standard output.")
    ] = "-"
    fail_on: Annotated[
        Severity | None,
        typer.Option("--fail-on", help="Exit with status 1 if there is a finding of at least this severity."),
    ] = None
    digest: Annotated[
        bool, typer.Option("--digest", help="Add the SHA-256 of the application data in each direction.")
    ] = False
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for Excel.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an internal error.")] = False
