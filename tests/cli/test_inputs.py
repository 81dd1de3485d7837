"""Patterns of captures, and the password."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from easpcap.cli.inputs import captures, keys, read_password
from easpcap.errors import CaptureError, KeyFileError
from tests.support.packets import pcap_bytes, tcp_packet

CAPTURE = pcap_bytes([tcp_packet()])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create(*names, content=CAPTURE):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


@pytest.mark.usefixtures("folder")
def test_patterns_are_expanded_in_order():
    create("b.pcap", "a.pcap", "c.txt")
    assert captures(["*.pcap", "-", "gone.pcap"]) == ["a.pcap", "b.pcap", "-", "gone.pcap"]
    assert captures(["[ac].*"]) == ["a.pcap", "c.txt"]
    assert keys(["?.pcap", "c.txt"]) == ["a.pcap", "b.pcap", "c.txt"]


def test_patterns_may_be_absolute_and_name_folders(folder):
    create("day1/a.pcap", "day2/a.pcap", "day2/deep/b.pcap")
    assert captures([str(folder / "day*" / "a.pcap")]) == [str(folder / day / "a.pcap") for day in ("day1", "day2")]
    assert captures(["**/b.pcap"]) == [str(Path("day2/deep/b.pcap"))]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["a[1].pcap", "[b]/c.pcap"])
def test_a_name_of_an_existing_file_is_not_treated_as_a_pattern(name):
    create(name, "a1.pcap", "b/c.pcap")
    assert captures([name]) == keys([name]) == [name]


@pytest.mark.usefixtures("folder")
def test_a_folder_with_brackets_in_its_name_may_stand_before_a_pattern():
    create("case [7]/b.pcap", "case [7]/a.pcap", "case 7/c.pcap")
    expected = [str(Path("case [7]", name)) for name in ("a.pcap", "b.pcap")]
    assert captures(["case [7]/*.pcap"]) == keys(["case [7]/*.pcap"]) == expected


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such file names: run it on another system")
@pytest.mark.usefixtures("folder")
def test_a_file_whose_name_has_a_star_is_taken_as_it_is():
    create("a?.pcap", "ab.pcap")
    assert captures(["a?.pcap"]) == ["a?.pcap"]


@pytest.mark.usefixtures("folder")
def test_a_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(CaptureError, match="no capture matches"):
        captures(["*.pcap"])
    assert keys(["*.pem"]) == ["*.pem"]  # the key report says that there is no such file


def test_a_folder_counts_as_the_captures_in_it_and_what_else_is_in_it_is_named(folder, capsys):
    create("ring/2.pcap", "ring/1.pcap", "ring/deeper/3.pcap")
    create("ring/readme.txt", "ring/server.pem", content=b"words")
    assert captures(["ring"]) == [str(Path("ring", name)) for name in ("1.pcap", "2.pcap")]
    (line,) = capsys.readouterr().err.splitlines()
    assert "warning: skipped" in line
    assert "readme.txt" in line
    assert "1 more file" in line
    assert captures([str(folder / "ring" / "deeper")]) == [str(folder / "ring" / "deeper" / "3.pcap")]


@pytest.mark.usefixtures("folder")
def test_a_folder_without_captures_is_an_error():
    create("keys/1.pem", "keys/2.pem", content=b"words")
    with pytest.raises(CaptureError, match="no capture is in this folder"):
        captures(["keys"])
    create("one/1.pem", content=b"words")
    with pytest.raises(CaptureError, match=r"1\.pem: this is a text file"):
        captures(["one"])
    Path("empty").mkdir()
    with pytest.raises(CaptureError, match="no capture is in this folder"):
        captures(["empty"])


@pytest.mark.parametrize("name", ["a\0*", "x" * 5_000 + "*", "*" * 300, "[", "[]", "**"])
@pytest.mark.usefixtures("folder")
def test_no_name_breaks_the_expansion(name):
    create("a.pcap")
    with contextlib.suppress(CaptureError):
        captures([name])
    assert keys([name])


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
        (b" secret \n", b" secret "),
        (b"secret\r", b"secret\r"),
        (b"\n", b""),
        (b"", b""),
        (b"\xef\xbb\xbfsecret\n", b"secret"),
        ("\ufeffgeheim\u00e4\r\n".encode("utf-16-le"), "geheim\u00e4".encode()),
    ],
)
def test_only_the_last_line_break_is_removed_from_the_password(tmp_path, content, password):
    path = tmp_path / "pw"
    path.write_bytes(content)
    assert read_password(str(path)) == password


def test_the_password_comes_from_the_environment_if_no_file_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("EASPCAP_PASSWORD", "from environment")
    assert read_password(None) == b"from environment"
    (tmp_path / "pw").write_bytes(b"from file")
    assert read_password(str(tmp_path / "pw")) == b"from file"
    monkeypatch.delenv("EASPCAP_PASSWORD")
    assert read_password(None) is None


def test_a_password_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(KeyFileError, match="cannot read the password"):
        read_password(str(tmp_path / "gone"))
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    with pytest.raises(KeyFileError, match="too long"):
        read_password(str(tmp_path / "big"))
