"""What a key file holds, and why it cannot be used, in words: one line that says what to do."""

from __future__ import annotations

from typing import get_args

import pytest

from easpcap import limits
from easpcap.key_problems import (
    Contents,
    FolderContents,
    KeyProblem,
    KeyProblemCode,
    LineProblem,
    UnusableLines,
)
from easpcap.report.key_text import CONTENTS, LINE_PROBLEMS, PROBLEMS, key_contents, key_problem
from easpcap.report.rows import key_row
from easpcap.results import KeyFile

LINES = UnusableLines(1, 7, "wrong-length", "CLIENT_RANDOM")


def problem(code, kind="unusable", **parameters):
    return key_problem(KeyFile("file", kind, problem=KeyProblem(code, **parameters)))


def test_everything_that_can_be_found_has_words():
    assert set(CONTENTS) == set(get_args(Contents))
    assert set(PROBLEMS) == set(get_args(KeyProblemCode))
    assert set(LINE_PROBLEMS) == set(get_args(LineProblem))


@pytest.mark.parametrize("code", get_args(KeyProblemCode))
def test_every_problem_is_one_line_without_open_braces(code):
    folder = FolderContents(3, 0, 1)
    text = problem(code, contents="pkcs12", limit=2**20, lines=LINES, folder=folder, system_error="no space")
    assert text
    assert not set("{}\n") & set(text)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ("certificate", "a certificate without its private key: give the server's private key"),
        ("ec-private-key", "an EC private key, which can only sign, not decrypt: give a key log"),
        ("java-keystore", "keytool -importkeystore"),
        ("pvk-key", "openssl rsa -inform PVK"),
        ("key-blob", "openssl rsa -inform MSBLOB"),
        ("zip", "unpack it first"),
        ("capture", "give it without --key or --key-log"),
    ],
)
def test_another_file_says_what_to_do_instead(contents, says):
    assert says in problem("other-contents", contents=contents)


@pytest.mark.parametrize(("contents", "named"), [("private-key", "a private key"), ("pkcs12", "a PKCS #12 file")])
def test_a_missing_and_a_wrong_password_say_where_to_give_it(contents, named):
    for code in ("password-missing", "password-wrong"):
        text = problem(code, contents=contents)
        assert text.startswith(f"{named}, encrypted")
        assert "EASPCAP_PASSWORD" in text
        assert "--password-file" in text
    assert "does not open it" in problem("password-wrong", contents=contents)


def test_a_key_whose_password_costs_too_much_says_the_limit_and_how_to_convert_it():
    text = problem("password-too-slow", contents="private-key")
    assert f"{limits.MAX_KEY_ROUNDS:,} rounds" in text
    assert f"{limits.MAX_KEY_SCRYPT_BYTES // 2**20} MiB" in text
    assert "openssl pkey" in text


def test_limits_are_in_the_sentence():
    assert "more than 16 MiB" in problem("file-too-large", limit=16 * 2**20)
    assert "more than 1,000 files" in problem("too-many-files", limit=1000)
    assert "(no space left)" in problem("unreadable", system_error="no space left")


def test_unusable_lines_are_counted_and_the_first_is_explained():
    one = problem("unusable-lines", "key-log", lines=LINES)
    assert one.startswith("1 line cannot be used; line 7: a field of CLIENT_RANDOM has the wrong length")
    many = UnusableLines(limits.MAX_KEY_LOG_COMPLAINTS, 1, "unknown-label", None)
    assert problem("unusable-lines", "key-log", lines=many).startswith("100 or more lines cannot be used; line 1: ")
    assert "100 or more" not in problem("unusable-lines", "key-log", lines=many._replace(total=99))


def test_a_file_none_of_whose_lines_is_usable_is_no_key_log():
    assert problem("unusable-lines", lines=LINES).startswith("no key log: none of its lines is a secret; 1 line")


def test_a_key_beside_an_unusable_one_says_so():
    text = problem("other-contents", "rsa-private-key", contents="ec-private-key")
    assert text.startswith("one of its keys cannot be used: an EC private key")


@pytest.mark.parametrize(
    ("key", "contents"),
    [
        (KeyFile("k", "rsa-private-key", rsa_bits=(1024, 2048)), "RSA 1024, RSA 2048"),
        (KeyFile("k", "key-log", secrets=1), "1 secret"),
        (KeyFile("k", "key-log", secrets=1234), "1,234 secrets"),
        (KeyFile("k", "embedded-key-log", secrets=2), "2 secrets inside the capture"),
        (KeyFile("k", "folder", folder=FolderContents(3, 1, 0)), "1 of 3 files usable"),
        (KeyFile("k", "folder", folder=FolderContents(1, 1, 0)), "1 of 1 file usable"),
        (
            KeyFile("k", "folder", folder=FolderContents(3, 1, 2)),
            "1 of 3 files usable, 2 encrypted and not opened",
        ),
        (KeyFile("k", "unusable"), ""),
    ],
)
def test_what_a_file_holds_is_counted(key, contents):
    assert key_contents(key) == contents


def test_the_json_has_the_same_words_and_null_where_there_are_none():
    usable, broken = KeyFile("k", "key-log", secrets=2), KeyFile("k", "unusable", problem=KeyProblem("empty"))
    assert (key_row(usable)["detail"], key_row(usable)["error"]) == ("2 secrets", None)
    assert (key_row(broken)["detail"], key_row(broken)["error"]) == (None, "empty")
