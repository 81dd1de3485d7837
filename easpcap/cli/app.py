"""The typer application: the commands and what they share."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from easpcap import __version__
from easpcap.cli.options import shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = ("inspect", "keys", "timeline", "connections", "exchanges", "findings")

_HELP = """Read captures of Exchange ActiveSync over TLS with the server's key, and say why mail does not go out.

Data goes to standard output, everything else to standard error. Exit status: 0 done; 1 a finding at or above
--fail-on; 2 wrong usage, unreadable input, or no named key file usable; 3 keys were given but nothing could be
decrypted.
"""


def _print_version(asked: bool) -> None:  # typer calls it so
    if asked:
        typer.echo(f"easpcap {__version__}")
        raise typer.Exit


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The command that ``arguments`` begin with, else all; without rich, which would cost start-up time."""
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

    asked_for = tuple(arguments[:1])
    for name in asked_for if set(asked_for) & set(_COMMANDS) else _COMMANDS:
        command = import_module(f"easpcap.cli.{name}")
        app.command(name, help=command.__doc__, short_help=command.SUMMARY)(
            shared_options(
                command.render, command.DEFAULT_FORMAT, tells_of_keys=getattr(command, "TELLS_OF_KEYS", False)
            )
        )
    return app
