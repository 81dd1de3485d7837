"""The typer application: the commands and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from easpcap import __version__
from easpcap.cli import connections, exchanges, findings, inspect, timeline
from easpcap.cli.options import shared_options

_HELP = """Read captures of Exchange ActiveSync over TLS with the server's key, and say why mail does not go out.

Data goes to standard output, everything else to standard error. Exit status: 0 done; 1 a finding at or above
--fail-on; 2 wrong usage, unreadable input, or no named key file usable; 3 keys were given but nothing could be
decrypted.
"""


def _print_version(asked: bool) -> None:  # typer calls it so
    if asked:
        typer.echo(f"easpcap {__version__}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """All commands. Plain help and tracebacks: rich would cost start-up time."""
    app = typer.Typer(
        name="easpcap",
        help=_HELP,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _easpcap(
        version: Annotated[  # its callback does the work
            bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
        ] = False,
    ) -> None:
        pass

    for command in (inspect, timeline, connections, exchanges, findings):
        name = command.__name__.rpartition(".")[2]
        app.command(name, help=command.__doc__, short_help=command.SUMMARY)(
            shared_options(command.render, command.DEFAULT_FORMAT)
        )
    return app
