"""The typer application with its commands."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from easpcap import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.cli.command import Command
    from easpcap.cli.options import Options

_COMMANDS = ("inspect", "keys", "timeline", "connections", "exchanges", "findings", "verify")

_HELP = """Read captures of Exchange ActiveSync over TLS with the server's key, and say why mail is not sent.

Data goes to standard output, everything else to standard error. Exit status: 0 done; 1 there is a finding at or
above --fail-on, or a difference that verify cannot explain; 2 wrong usage, unreadable input, or none of the key files
can be used; 3 keys were given, but nothing could be decrypted.
"""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"easpcap {__version__}")
        raise typer.Exit


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application with the command that ``arguments`` begin with, else with all commands.

    Without rich, which would make every start slower.
    """
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

    for name in _names(arguments):
        module = import_module(f"easpcap.cli.{name}")
        command: Command[Options] = module.COMMAND
        app.command(name, help=module.__doc__, short_help=command.summary)(command.callback())
    return app


def _names(arguments: Sequence[str]) -> Sequence[str]:
    """The command that ``arguments`` begin with; all commands if they begin with none."""
    first = arguments[:1]
    return first if first and first[0] in _COMMANDS else _COMMANDS
