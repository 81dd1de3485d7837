"""What a text report takes from the terminal and from the command line."""

from __future__ import annotations

import io
import sys

import pytest

from easpcap.cli.options import Options
from easpcap.cli.progress import progress_bar
from easpcap.cli.screen import arguments_given, layout_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Connect standard output and standard error to a terminal of some width, without NO_COLOR and TERM."""

    def connect(columns: int = 80) -> None:
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stderr", Terminal())

    return connect


@pytest.mark.parametrize(("columns", "width"), [(40, 60), (60, 60), (80, 80), (120, 120), (300, 120)])
def test_the_report_is_as_wide_as_the_terminal_within_limits(terminal, columns, width):
    terminal(columns)
    layout = layout_for(Options(traces=["t.pcap"]))
    assert (layout.width, layout.colour) == (width, True)


@pytest.mark.parametrize(
    ("variable", "value", "colour"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "vt100", True)],
)
def test_colour_can_be_switched_off(terminal, monkeypatch, variable, value, colour):
    terminal()
    monkeypatch.setenv(variable, value)
    assert layout_for(Options(traces=["t.pcap"])).colour == colour


def test_a_report_in_a_file_is_plain_even_on_a_terminal(terminal):
    terminal()
    layout = layout_for(Options(traces=["t.pcap"], output="out.txt"))
    assert (layout.width, layout.colour) == (100, False)


def test_suggested_commands_repeat_captures_keys_and_password_file():
    options = Options(traces=["a.pcap", "b.pcap", "c.pcap"], keys=["k"], key_logs=["l"], password_file="pw")
    assert arguments_given(options) == "a.pcap b.pcap c.pcap --key k --key-log l --password-file pw"


def test_more_than_three_captures_are_abbreviated():
    assert arguments_given(Options(traces=["a", "b", "c", "d"])) == "a b c ..."


@pytest.mark.parametrize(("size", "shown"), [(20 * 2**20, True), (20 * 2**20 - 1, False)])
def test_a_progress_bar_is_shown_for_large_captures_only(terminal, tmp_path, size, shown):
    terminal()
    with (tmp_path / "t.pcap").open("wb") as file:
        file.truncate(size)
    with progress_bar([str(tmp_path / "t.pcap")]) as progress:
        assert (progress is not None) == shown


def test_no_progress_bar_is_shown_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(["-"]) as progress:
        assert progress is None
