"""Which connections a key file is said to match."""

from __future__ import annotations

from easpcap.pipeline import Partial, judge
from easpcap.results import KeyFile
from tests.pipeline.test_merge import connection


def matches(keys, **sources):
    one = connection(7)
    for name, value in sources.items():
        setattr(one, name, value)
    judge(Partial([one]), keys=keys)
    return [key.matches for key in keys]


def key(fingerprint):
    return KeyFile("server.pem", "rsa-private-key", fingerprint, (2048,))


def test_a_key_matches_what_it_opened_and_what_shows_its_certificate():
    assert matches([key("a"), key("b")], key_sources=frozenset({1})) == [[], [0]]
    assert matches([key("a"), key("b")], certificate_key=0) == [[0], []]


def test_the_same_key_in_a_second_file_matches_too():
    assert matches([key("a"), key("b"), key("a")], certificate_key=0) == [[0], [], [0]]
