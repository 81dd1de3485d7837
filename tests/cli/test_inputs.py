"""Patterns of captures, and the password."""

from __future__ import annotations

import pytest

from easpcap.cli.inputs import expanded, read_password
from easpcap.errors import CaptureError, KeyFileError


def test_patterns_are_expanded_in_order_if_no_file_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.pcap", "a.pcap", "c.txt"):
        (tmp_path / name).touch()
    assert expanded(["*.pcap", "-", "gone.pcap"]) == ["a.pcap", "b.pcap", "-", "gone.pcap"]


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such file names: run it on another system")
def test_a_name_of_an_existing_file_is_not_treated_as_a_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a?.pcap").touch()
    (tmp_path / "ab.pcap").touch()
    assert expanded(["a?.pcap"]) == ["a?.pcap"]


def test_a_pattern_that_matches_nothing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptureError, match="no file matches"):
        expanded(["*.pcap"])


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
