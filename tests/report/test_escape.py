"""Text from the wire controls neither a terminal nor a spreadsheet."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from easpcap.report.escape import cell, shortened, shown


def test_control_and_bidirectional_characters_are_written_out():
    assert shown("\x1b[31m") == "\\x1b[31m"
    assert shown("a\u202eb") == "a\\u202eb"
    assert shown("a\u200bb\n") == "a\\u200bb\\x0a"
    assert shown("\U000e0001") == "\\U000e0001"
    assert shown("\udcff") == "\\udcff"
    assert shown("\u00a0") == "\\xa0"


def test_letters_of_all_scripts_are_not_escaped():
    assert shown("Müller 王 Ж") == "Müller 王 Ж"


@given(st.text(alphabet=st.characters(codec=None)))
def test_no_control_character_is_left(text):
    for character in shown(text):
        assert character == " " or unicodedata.category(character)[0] not in "CZ"


def test_a_formula_gets_an_apostrophe():
    for text in ("=1+1", "+1", "-1", "@SUM(A1)"):
        assert cell(text) == "'" + text
    assert cell("\t=1") == "'\\x09=1"
    assert cell("\x00") == "'\\x00"


def test_plain_text_gets_no_apostrophe():
    assert cell("mail") == "mail"
    assert cell("a=b") == "a=b"
    assert cell("\\x1b") == "\\x1b"
    assert cell("") == ""


@given(st.text(min_size=1))
def test_no_cell_begins_a_formula(text):
    assert cell(text)[0] not in "=+-@\t\r\n"


def test_a_shortened_text_ends_in_three_dots():
    assert shortened("abcdefgh", 6) == "abc..."
    assert shortened("abcdef", 6) == "abcdef"
