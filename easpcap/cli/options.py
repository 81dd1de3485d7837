"""What every command takes, as typer reads it and as the commands see it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easpcap.results import Analysis

    Render = Callable[[Analysis, "Options"], Iterator[str]]


class Format(StrEnum):
    """How the data is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Severity(StrEnum):
    """Of a finding, as --fail-on takes it."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class Options(NamedTuple):
    """The options of one run."""

    traces: tuple[str, ...]
    keys: tuple[str, ...]
    key_logs: tuple[str, ...]
    password_file: str | None
    format: Format
    output: str
    fail_on: Severity | None
    digest: bool
    bom: bool
    debug: bool


_Traces = Annotated[
    list[str], typer.Argument(metavar="TRACE", help="Captures (pcap, pcapng, also gzip); - is standard input.")
]
_Keys = Annotated[
    list[str] | None,
    typer.Option("--key", "-k", metavar="FILE", help="Private key (PEM, DER, PKCS#12), or a folder. Repeatable."),
]
_KeyLogs = Annotated[
    list[str] | None, typer.Option("--key-log", metavar="FILE", help="NSS key log (SSLKEYLOGFILE). Repeatable.")
]
_PasswordFile = Annotated[
    str | None,
    typer.Option("--password-file", metavar="FILE", help="Password of the keys; else EASPCAP_PASSWORD is used."),
]
_Format = Annotated[Format, typer.Option("--format", "-f", help="How the data is written.")]
_Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Write here; - is standard output.")]
_FailOn = Annotated[
    Severity | None, typer.Option("--fail-on", help="Exit status 1 for a finding of at least this severity.")
]
_Digest = Annotated[bool, typer.Option("--digest", help="Add the sha256 of the application data of each direction.")]
_Bom = Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for Excel.")]
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an internal error.")]


def shared_options(render: Render, default_format: Format, *, tells_of_keys: bool = False) -> Callable[..., None]:
    """A command that takes these options and writes what ``render`` yields; ``tells_of_keys`` as for ``run``."""

    def command(
        traces: _Traces,
        key: _Keys = None,
        key_log: _KeyLogs = None,
        password_file: _PasswordFile = None,
        format: _Format = default_format,  # noqa: A002  # the option's name
        output: _Output = "-",
        fail_on: _FailOn = None,
        digest: _Digest = False,
        bom: _Bom = False,
        debug: _Debug = False,
    ) -> None:
        from easpcap.cli.run import run

        options = Options(
            traces=tuple(traces),
            keys=tuple(key or ()),
            key_logs=tuple(key_log or ()),
            password_file=password_file,
            format=format,
            output=output,
            fail_on=fail_on,
            digest=digest,
            bom=bom,
            debug=debug,
        )
        raise typer.Exit(run(render, options, tells_of_keys=tells_of_keys))

    return command
