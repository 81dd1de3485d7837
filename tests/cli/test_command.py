"""A command is an options class and a function; a class derived from Options adds options."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from easpcap.cli.command import Command
from easpcap.cli.options import Format, Options


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions(Options):
    exchange: Annotated[int, typer.Option("--exchange", "-x", help="Number of the exchange.")] = 0


@pytest.fixture
def run_command():
    """Run a command with ShowOptions on some arguments: the exit status, and the options it was given."""

    def run(*arguments: str, status: int = 0) -> tuple[int, list[ShowOptions]]:
        seen: list[ShowOptions] = []

        def note(options: ShowOptions) -> int:
            seen.append(options)
            return status

        app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        app.command("show")(Command("Show one exchange.", ShowOptions, note).callback())
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        return ended.value.code, seen

    return run


def test_a_derived_class_adds_options_to_the_shared_ones(run_command):
    status, [options] = run_command("a.pcap", "b.pcap", "--exchange", "7", "--key", "k.pem", "-f", "json")
    assert status == 0
    assert options == ShowOptions(traces=["a.pcap", "b.pcap"], keys=["k.pem"], format=Format.JSON, exchange=7)


def test_options_that_are_not_given_have_their_defaults(run_command):
    _, [options] = run_command("a.pcap")
    assert options == ShowOptions(traces=["a.pcap"])
    assert (options.keys, options.key_logs, options.output, options.exchange) == ([], [], "-", 0)


def test_two_runs_do_not_share_their_lists(run_command):
    first = run_command("a.pcap")[1][0]
    first.keys.append("left over")
    assert run_command("a.pcap")[1][0].keys == []


def test_the_status_of_the_function_is_the_status_of_the_command(run_command):
    assert run_command("a.pcap", status=3)[0] == 3


def test_an_error_in_the_function_is_status_two(capsys):
    def fail(_: Options) -> int:
        raise ZeroDivisionError

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command("show")(Command("Fail.", Options, fail).callback())
    with pytest.raises(SystemExit) as ended:
        app(["a.pcap"])
    assert ended.value.code == 2
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err
