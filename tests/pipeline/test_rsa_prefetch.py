"""Key exchanges are found ahead of their turn, and what is found ahead is what would have been found."""

from __future__ import annotations

import threading

import pytest

from easpcap.capture import open_capture
from easpcap.keyfiles import load_keys
from easpcap.pipeline import rsa_prefetch as foresight
from easpcap.pipeline.rsa_prefetch import Worker, key_exchanges
from tests.pipeline.captures import CAPTURES, FIXTURES, KEY, read, told
from tests.support.batches import Packet, batch

CIPHERTEXT = bytes(range(256))
CLIENT, SERVER = ("10.0.0.1", 50000), ("10.0.0.2", 443)


def record(body, *, kind=16, version=b"\x03\x03"):
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16" + version + len(message).to_bytes(2, "big") + message


def found(payload):
    return list(key_exchanges(batch([Packet(CLIENT, SERVER, payload=payload)])))


def test_a_segment_that_begins_with_a_key_exchange_gives_its_ciphertext():
    prefixed = (256).to_bytes(2, "big") + CIPHERTEXT
    assert found(record(prefixed)) == [CIPHERTEXT]
    assert found(record(prefixed) + b"\x14\x03\x03\x00\x01\x01") == [CIPHERTEXT]


def test_ssl3_has_no_length_before_it():
    assert found(record(CIPHERTEXT, version=b"\x03\x00")) == [CIPHERTEXT]


def test_a_cut_one_and_other_messages_are_left_for_later():
    whole = record((256).to_bytes(2, "big") + CIPHERTEXT)
    assert found(whole[:-1]) == []
    assert found(record(b"abc", kind=1)) == []
    assert found(b"\x17" + whole[1:]) == []
    assert found(b"\x16\x03") == []


def test_what_was_foreseen_is_what_is_found():
    path = FIXTURES / "captures" / "renegotiation-deadlock.pcap"
    plain, ahead = load_keys([KEY])[0], load_keys([KEY])[0]
    encrypted = [one for rows in open_capture(path) for one in key_exchanges(rows)]
    assert encrypted
    worker = Worker()
    for one in encrypted:
        ahead.start_decrypting(one, worker.submit)
        ahead.start_decrypting(one, worker.submit)
    for one in encrypted:
        assert ahead.premasters(one, None) == plain.premasters(one, None)
    worker.close()


def test_a_worker_gives_back_what_its_calls_gave_or_raised():
    worker = Worker()
    first, broken, last = worker.submit(bytes, 3), worker.submit(bytes.fromhex, "no"), worker.submit(bytes, 1)
    assert (first.result(), last.result()) == (b"\0\0\0", b"\0")
    with pytest.raises(ValueError, match="hexadecimal"):
        broken.result()
    worker.close()


def test_a_worker_does_not_begin_what_nobody_wants_any_more():
    done = []
    worker = Worker()
    held = threading.Lock()
    with held:
        worker.submit(held.acquire)  # keeps the worker waiting
        worker.submit(done.append, "cancelled").cancel()
        last = worker.submit(done.append, "wanted")
    last.result()
    worker.close()
    assert done == ["wanted"]


def test_an_analysis_with_foresight_says_the_same(monkeypatch):
    for path in CAPTURES:
        without = told(read(path))
        monkeypatch.setattr(foresight, "LEAST_ROWS", 1)
        assert told(read(path)) == without
        monkeypatch.undo()
