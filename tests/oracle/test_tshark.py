"""A second opinion: what tshark makes of the fixtures is what easpcap makes of them, in every aspect."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.verify.asking import differences, results, verified

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEY = FIXTURES / "keys" / "server.pem"
CAPTURES = sorted(FIXTURES.glob("captures/*.pcap"))

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle"),
]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_both_agree_on_every_fixture(path):
    log = path.with_suffix(".keys")
    verification = verified(path, keys=[KEY], key_logs=[log] if log.exists() else [])
    assert differences(verification) == {}
    compared = {aspect for _, aspect in results(verification)}
    assert {"requests", "data-to-server"} <= compared
    assert path.stem == "plain-http" or {"handshakes", "cipher-suites"} <= compared


def test_several_captures_are_numbered_as_one():
    paths = [FIXTURES / "captures" / f"{name}.pcap" for name in ("resumption-ticket", "plain-http", "apache-413")]
    verification = verified(*paths, keys=[KEY])
    assert differences(verification) == {}
    assert verification.connections == len({number for number, _ in results(verification)}) > 3


def test_without_a_key_both_see_the_handshake_and_no_data():
    verification = verified(FIXTURES / "captures" / "apache-413.pcap")
    assert differences(verification) == {}
    assert {aspect for _, aspect in results(verification)} == {"handshakes", "cipher-suites"}
