"""Frames that were counted before their captures were read get their final numbers, wherever they are."""

from __future__ import annotations

import re

from easpcap.capture import open_capture
from easpcap.keyfiles import load_keys
from easpcap.pipeline import Analyzer
from easpcap.pipeline.renumber import renumber
from tests.pipeline.captures import CAPTURES, KEY

FAR = 1 << 40


def partial_of(path, first_frame):
    keyring, _ = load_keys([KEY])
    analyzer = Analyzer(keyring)
    for batch in open_capture(path, first_frame=first_frame):
        analyzer.feed(batch)
    return analyzer.finish()


def test_no_frame_is_forgotten():
    for path in CAPTURES:
        moved = partial_of(path, FAR + 1)
        assert str(FAR)[:4] in repr(moved)
        renumber(moved, lambda frame: frame - FAR)
        assert moved == partial_of(path, 1)
        assert not re.search(r"\b10995\d{8}\b", repr(moved))


def test_parts_that_results_share_are_changed_once():
    for path in CAPTURES:
        moved = partial_of(path, 1)
        renumber(moved, lambda frame: frame + 1_000)
        for connection in moved.connections:
            assert connection.id == connection.first.frame > 1_000
            for exchange in connection.exchanges:
                assert exchange.connection == connection.id
            for renegotiation in connection.tls.renegotiations if connection.tls else ():
                assert renegotiation.exchange is None or any(renegotiation.exchange is e for e in connection.exchanges)
