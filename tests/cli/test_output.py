"""Inputs are never overwritten, an output file is complete or absent, and a closed pipe is not an error."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from easpcap.cli.output import OutputError, check_output, write_output
from tests.cli.commands import ROOT, environment

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files: run it on another system than Windows")


def test_a_file_is_written_as_utf_8_and_no_temporary_file_remains(tmp_path):
    write_output(iter(["grün\r\n", "\udcff"]), str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_bytes() == b"gr\xc3\xbcn\r\n\\udcff"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_failure_while_writing_leaves_the_old_file_unchanged(tmp_path):
    out = tmp_path / "out.csv"
    out.write_bytes(b"old")

    def pieces():
        yield "new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_output(pieces(), str(out))
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@posix
def test_a_replaced_file_keeps_its_permissions(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("before")
    target.chmod(0o600)
    write_output(["after"], str(target))
    assert target.read_text() == "after"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("role", ["trace", "key", "key_log", "password"])
def test_no_input_is_overwritten(pipeline, easpcap_main, tmp_path, role):
    names = {name: f"{name}.file" for name in ("trace", "key", "key_log", "password")}
    for name in names.values():
        (tmp_path / name).write_bytes(b"evidence")
    status, out, err = easpcap_main(
        "inspect", names["trace"], "--key", names["key"], "--key-log", names["key_log"],
        "--password-file", names["password"], "-o", names[role],
    )  # fmt: skip
    assert (status, out) == (2, b"")
    assert "is also an input" in err
    assert (tmp_path / names[role]).read_bytes() == b"evidence"
    assert pipeline.asked == {}  # refused before anything is read


def test_no_input_is_overwritten_through_another_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trace.pcap").touch()
    (tmp_path / "sub").mkdir()
    os.link("trace.pcap", "hard.pcap")
    names = ["trace.pcap", "./trace.pcap", "sub/../trace.pcap", str(tmp_path / "trace.pcap"), "hard.pcap"]
    if sys.platform != "win32":
        (tmp_path / "soft.pcap").symlink_to("trace.pcap")
        names.append("soft.pcap")
    for name in names:
        with pytest.raises(OutputError, match="is also an input"):
            check_output(name, ["trace.pcap"])
    check_output("other.pcap", ["trace.pcap"])


def test_an_output_with_the_name_of_a_missing_input_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError):
        check_output("./gone.pcap", ["gone.pcap"])


def test_the_file_that_standard_input_reads_from_is_refused(tmp_path):
    trace = tmp_path / "trace.pcap"
    trace.write_bytes(b"evidence")
    command = [sys.executable, "-m", "easpcap", "inspect", "-", "-o", str(trace)]
    with trace.open("rb") as given:
        done = subprocess.run(command, stdin=given, capture_output=True, env=environment(), check=False)
    assert done.returncode == 2
    assert b"standard input" in done.stderr
    assert trace.read_bytes() == b"evidence"


@pytest.mark.parametrize("output", [".", "no/such/folder/out.csv"])
def test_an_output_that_cannot_be_created_is_refused_before_the_analysis(pipeline, easpcap_main, output):
    assert easpcap_main("inspect", "t.pcap", "-o", output)[0] == 2
    assert pipeline.asked == {}


@posix
def test_a_link_as_output_stays_a_link_and_its_target_is_written(tmp_path):
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_output(iter(["new"]), str(tmp_path / "link.csv"))
    assert (tmp_path / "real.csv").read_bytes() == b"new"
    assert (tmp_path / "link.csv").is_symlink()


@posix
def test_a_device_is_written_to_and_not_replaced():
    write_output(iter(["text"]), os.devnull)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_no_output_file_is_created_if_the_capture_cannot_be_read(pipeline, easpcap_main, tmp_path):
    from easpcap.errors import CaptureError

    pipeline.error = CaptureError("no capture")
    assert easpcap_main("inspect", "t.pcap", "-o", "out.txt")[0] == 2
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys
from easpcap.cli.output import write_output
write_output((("line %d\\n" % n) for n in range({lines})), "-")
sys.exit(7)
"""


@posix
@pytest.mark.parametrize("lines", [3, 200_000])
def test_a_reader_that_closes_the_pipe_early_is_not_an_error(lines):
    command = [sys.executable, "-c", PROGRAM.format(lines=lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as writer:
        writer.stdout.close()
        complaint = writer.stderr.read()
    assert (writer.returncode, complaint) == (7, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full: run it on Linux")
def test_a_full_disk_is_an_error():
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", PROGRAM.format(lines=3)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False)
    assert b"OutputError: standard output cannot be written" in done.stderr


def test_standard_output_is_utf_8_whatever_the_code_page():
    program = "from easpcap.cli.output import write_output\nwrite_output(['gr\\u00fcn\\n'], '-')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env=environment(PYTHONIOENCODING="cp437"),
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == "grün\n".encode()


@pytest.mark.usefixtures("pipeline")
def test_a_key_inside_a_folder_of_keys_is_not_overwritten(easpcap_main, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "server.pem").write_bytes(b"evidence")
    status, _, err = easpcap_main("inspect", "t.pcap", "--key", "keys", "-o", "keys/server.pem")
    assert status == 2
    assert "is also an input" in err
    assert (tmp_path / "keys" / "server.pem").read_bytes() == b"evidence"


def test_standard_input_is_not_confused_with_a_file_named_dash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").touch()
    check_output("./-", ["-"])
