"""tshark is found, fed, watched and killed; a program in its place shows what it is given."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

import easpcap.verify.tshark as tshark
from easpcap.errors import CaptureError
from easpcap.verify.tshark import SecondOpinionError, Tshark, TsharkRun, find_tshark

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program in its place is a script")

NEW = (4, 0, 17)


def program(folder, text):
    """An executable that runs Python code."""
    path = folder / "tshark"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{text}")
    path.chmod(0o755)
    return path


def run(folder, text, pieces=(b"capture",)):
    with TsharkRun(Tshark(str(program(folder, text)), NEW), ["-T", "pdml"], lambda: iter(pieces)) as running:
        return b"".join(running.output())


# -- found -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Puts a program in tshark's place that says which version it is."""
    monkeypatch.setattr(sys, "platform", "linux")

    def install(said):
        path = program(tmp_path, f"print({said!r})")
        monkeypatch.setattr(shutil, "which", lambda _: str(path))
        return str(path)

    return install


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).", (4, 0, 17)),
        ("TShark 3.0.0 (v3.0.0-0-g937e33de)", (3, 0, 0)),
        ("TShark (Wireshark) 10.12.3.", (10, 12, 3)),
    ],
)
def test_its_version_is_read(installed, said, version):
    path = installed(said)
    assert find_tshark() == Tshark(path, version)


def test_a_version_that_does_not_take_secrets_from_a_capture_is_refused(installed):
    installed("TShark (Wireshark) 2.6.20")
    with pytest.raises(
        SecondOpinionError, match=r"is version 2\.6\.20, and verify needs 3\.0 or newer: install Wireshark"
    ):
        find_tshark()


def test_a_program_that_is_no_tshark_is_refused(installed):
    installed("hello")
    with pytest.raises(SecondOpinionError, match="does not say which version"):
        find_tshark()


@pytest.mark.parametrize(
    ("platform", "advice"),
    [
        ("linux", "apt install tshark"),
        ("darwin", "brew install wireshark"),
        ("win32", "wireshark.org"),
        ("aix", "part"),
    ],
)
def test_where_it_is_absent_one_line_says_how_to_get_it(monkeypatch, platform, advice):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    with pytest.raises(SecondOpinionError, match=advice) as error:
        find_tshark()
    assert "\n" not in str(error.value)


def test_a_tshark_in_the_folder_of_the_evidence_is_not_run(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda _: "tshark")  # found through a relative search path
    with pytest.raises(SecondOpinionError, match="part of Wireshark"):
        find_tshark()


# -- given -------------------------------------------------------------------------------------------------------------


def test_the_capture_arrives_on_its_standard_input(tmp_path):
    assert run(tmp_path, "sys.stdout.write(sys.stdin.read())", [b"one ", b"two"]) == b"one two"


def test_no_secret_and_no_preference_of_the_user_is_in_its_arguments_or_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("EASPCAP_PASSWORD", "hush")
    monkeypatch.setenv("SSLKEYLOGFILE", "/keys.log")
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", "/users/preferences")
    said = run(tmp_path, "print(json.dumps([sys.argv[1:], dict(os.environ)])); sys.stdin.read()")
    arguments, environment = json.loads(said)
    assert arguments == ["-n", "-r", "-", "-T", "pdml"]
    assert not {"EASPCAP_PASSWORD", "SSLKEYLOGFILE"} & set(environment)
    assert not Path(environment["WIRESHARK_CONFIG_DIR"]).exists()
    assert os.environ["EASPCAP_PASSWORD"] == "hush"


def test_a_capture_larger_than_a_pipe_is_written_while_the_output_is_read(tmp_path):
    pieces = [bytes(2**16)] * 64
    assert (
        len(run(tmp_path, "while piece := sys.stdin.buffer.read1(): sys.stdout.buffer.write(piece)", pieces)) == 2**22
    )


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_its_failure_is_one_line_with_what_it_said_last(tmp_path):
    code = "sys.stdin.read(); sys.stderr.write('first\\ntshark: out of memory\\n'); sys.exit(2)"
    with pytest.raises(SecondOpinionError, match=r"failed with status 2 \(tshark: out of memory\)"):
        run(tmp_path, code)


def test_a_program_that_reads_only_a_part_is_no_error_of_the_writer(tmp_path):
    assert run(tmp_path, "sys.stdout.write('enough')", [bytes(2**16)] * 64) == b"enough"


def test_an_error_while_the_capture_is_read_is_raised(tmp_path):
    def pieces():
        yield b"begin"
        raise CaptureError("the disk is gone")

    with (
        pytest.raises(CaptureError, match="the disk is gone"),
        TsharkRun(Tshark(str(program(tmp_path, "sys.stdin.read()")), NEW), [], pieces) as running,
    ):
        list(running.output())


def test_a_program_that_does_nothing_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(tshark, "TSHARK_STALL_SECONDS", 1)
    with pytest.raises(SecondOpinionError, match="did nothing for 1 s and was stopped"):
        run(tmp_path, "time.sleep(600)")


def test_it_does_not_outlive_what_asked_it(tmp_path):
    path = program(tmp_path, "print(os.getpid(), flush=True); time.sleep(600)")
    started = time.monotonic()
    with TsharkRun(Tshark(str(path), NEW), [], lambda: [b"x"]) as running:
        process = int(next(running.output()))
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_program_that_cannot_be_run_is_one_line(tmp_path):
    with pytest.raises(SecondOpinionError, match="cannot be run"), TsharkRun(Tshark(str(tmp_path), NEW), [], list):
        pass
