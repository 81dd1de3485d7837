"""DEFLATE inside TLS: one compression history for all records of an epoch, and a limit for what a record expands to."""

from __future__ import annotations

import zlib

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.protection.deflate import MAX_PLAINTEXT, inflating
from easpcap.tls.protection.stream import Unprotected
from tests.support.tls_runs import run
from tests.support.tls_script import TlsScript

LINE = b"the same words again and again, which is why they are compressed\r\n"
APPLICATION_DATA, VERSION = 23, 0x0303


def talk(version=0x0301, suite=0x002F):
    script = TlsScript(version, suite)
    script.compression = 1
    script.full()
    for number in range(6):
        script.data(TO_SERVER, LINE * (number + 1))
    script.data(TO_CLIENT, LINE)
    script.data(TO_SERVER, b"")
    return script


@pytest.mark.parametrize(("version", "suite"), [(0x0300, 0x0004), (0x0301, 0x002F), (0x0303, 0x009C), (0x0303, 0x0002)])
@pytest.mark.parametrize("step", [0, 7])
def test_compressed_records_are_expanded_in_both_directions(version, suite, step):
    script = talk(version, suite)
    outcome = run(script.flights, step=step)
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.verdict() == ("decrypted", None)
    done = next(fact for fact in outcome.seen if fact.kind == "handshake-done")
    assert done.what.verified


def test_every_handshake_starts_a_new_compression_history():
    script = talk()
    script.full()
    script.data(TO_SERVER, LINE * 3)
    assert run(script.flights).plaintext[TO_SERVER] == bytes(script.plaintext[TO_SERVER])


def test_after_lost_bytes_the_rest_of_a_compressed_direction_is_reported_as_lost():
    script = talk()
    begin = script.offsets[TO_SERVER]
    for _ in range(20):
        script.data(TO_SERVER, LINE * 20)
    outcome = run(script.flights, lost=(TO_SERVER, begin + 10, begin + 20))
    assert outcome.plaintext[TO_SERVER] == LINE * 21
    assert outcome.verdict(gaps=(10, 0))[:2] == ("partial", "gap")
    assert outcome.gaps


def reader():
    return inflating(Unprotected())


def expand(protection, data):
    return protection.open(APPLICATION_DATA, VERSION, data)


def test_a_record_may_expand_up_to_the_limit_only():
    deflate = zlib.compressobj()
    full = deflate.compress(bytes(MAX_PLAINTEXT)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    again = deflate.compress(bytes(MAX_PLAINTEXT)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    more = deflate.compress(bytes(MAX_PLAINTEXT + 1)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    protection = reader()
    assert expand(protection, full) == expand(protection, again) == bytes(MAX_PLAINTEXT)
    assert expand(protection, more) is None


def test_a_compression_bomb_does_not_fill_memory():
    bomb = zlib.compress(bytes(50_000_000), 9)
    protection = reader()
    for _ in range(5):
        assert expand(protection, bomb) is None
    held = protection._inflate
    assert len(held.unconsumed_tail) + len(held.unused_data) <= len(bomb)


def test_data_after_the_end_of_the_compressed_stream_is_not_kept():
    protection = reader()
    assert expand(protection, zlib.compress(LINE)) == LINE
    for _ in range(100):
        assert expand(protection, bytes(1000)) is None
    assert len(protection._inflate.unused_data) == 0


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x78\x9c\xff\xff", zlib.compress(LINE)[:20]])
def test_data_that_cannot_be_decompressed_gives_no_false_plaintext(data):
    protection = reader()
    assert LINE.startswith(expand(protection, data) or b"")
    assert protection.reopen(APPLICATION_DATA, VERSION, data, b"", 10, 10) is None
    assert protection.sequence == 1
