"""RSA key exchanges of a large batch are decrypted in another thread, and the analysis is the same as without it."""

from __future__ import annotations

import io
import threading
from collections import Counter

import pytest

from easpcap.capture import open_capture
from easpcap.pipeline import Analyzer, judge, rsa_prefetch
from easpcap.stream import TO_SERVER
from easpcap.tls.secrets.keyring import KeyRing
from tests.pipeline.captures import CAPTURES, FIXTURES, as_json, read
from tests.support.batches import Packet, batch
from tests.support.tls_peer import server_private_key
from tests.support.tls_script import TlsScript
from tests.support.wire_of import pcap_of

CIPHERTEXT = bytes(range(256))
CLIENT, SERVER = ("10.0.0.1", 50000), ("10.0.0.2", 443)
DEADLOCK = FIXTURES / "captures" / "renegotiation-deadlock.pcap"


@pytest.fixture
def any_batch_is_large(monkeypatch):
    monkeypatch.setattr(rsa_prefetch, "MIN_ROWS", 1)


class RecordingKey:
    """A private key that counts the threads in which it decrypts what."""

    def __init__(self, key):
        self._key = key
        self.key_size = key.key_size
        self.public_key = key.public_key
        self.threads = []
        self.ciphertexts = Counter()

    def decrypt(self, ciphertext, padding):
        self.threads.append(threading.current_thread().name)
        self.ciphertexts[ciphertext] += 1
        return self._key.decrypt(ciphertext, padding)


def read_with(key, source):
    keyring = KeyRing()
    keyring.add_private_key(key, 0)
    analyzer = Analyzer(keyring)
    for rows in open_capture(source):
        analyzer.feed(rows)
    return judge(analyzer.finish())


@pytest.mark.usefixtures("any_batch_is_large")
def test_the_key_exchanges_of_a_large_batch_are_decrypted_once_each_and_in_another_thread():
    key = RecordingKey(server_private_key_of_fixtures())
    read_with(key, DEADLOCK)
    assert key.ciphertexts
    assert set(key.ciphertexts.values()) == {1}
    assert "easpcap-rsa" in key.threads


def test_a_small_batch_needs_no_thread():
    key = RecordingKey(server_private_key_of_fixtures())
    read_with(key, DEADLOCK)
    assert set(key.threads) == {"MainThread"}


@pytest.mark.usefixtures("any_batch_is_large")
def test_the_thread_ends_with_the_analysis():
    read_with(server_private_key_of_fixtures(), DEADLOCK)
    assert "easpcap-rsa" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.usefixtures("any_batch_is_large")
def test_a_key_exchange_that_is_split_over_segments_is_decrypted_when_it_is_read():
    script = TlsScript().full()
    script.data(TO_SERVER, b"GET / HTTP/1.1\r\n\r\n")
    pieces = [(to, flight[at : at + 100]) for to, flight in script.flights for at in range(0, len(flight), 100)]
    key = RecordingKey(server_private_key())
    [connection] = read_with(key, io.BytesIO(pcap_of(pieces))).connections
    assert connection.decryption.status == "decrypted"
    assert key.threads == ["MainThread"]


@pytest.mark.usefixtures("any_batch_is_large")
def test_an_error_while_decrypting_ahead_is_the_error_of_the_analysis():
    class BrokenKey(RecordingKey):
        def decrypt(self, *_):
            raise ArithmeticError("broken")

    with pytest.raises(ArithmeticError, match="broken"):
        read_with(BrokenKey(server_private_key_of_fixtures()), DEADLOCK)


def test_decrypting_ahead_does_not_change_the_analysis(monkeypatch):
    for path in CAPTURES:
        without = as_json(read(path))
        monkeypatch.setattr(rsa_prefetch, "MIN_ROWS", 1)
        assert as_json(read(path)) == without
        monkeypatch.undo()


def server_private_key_of_fixtures():
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key((FIXTURES / "keys" / "server.pem").read_bytes(), None)


# ---------------------------------------------------------------------- which segments hold one


def record(body, *, kind=16, version=b"\x03\x03"):
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16" + version + len(message).to_bytes(2, "big") + message


def found(payload):
    return list(rsa_prefetch.encrypted_premasters(batch([Packet(CLIENT, SERVER, payload=payload)])))


def test_a_segment_that_begins_with_a_key_exchange_gives_its_ciphertext():
    prefixed = (256).to_bytes(2, "big") + CIPHERTEXT
    assert found(record(prefixed)) == [CIPHERTEXT]
    assert found(record(prefixed) + b"\x14\x03\x03\x00\x01\x01") == [CIPHERTEXT]


def test_ssl3_has_no_length_before_the_ciphertext():
    assert found(record(CIPHERTEXT, version=b"\x03\x00")) == [CIPHERTEXT]


def test_a_truncated_key_exchange_and_other_messages_give_nothing():
    whole = record((256).to_bytes(2, "big") + CIPHERTEXT)
    assert found(whole[:-1]) == []
    assert found(record(b"abc", kind=1)) == []
    assert found(b"\x17" + whole[1:]) == []
    assert found(b"\x16\x03") == []


# ---------------------------------------------------------------------- the thread


def test_an_executor_gives_what_its_calls_returned_or_raised():
    executor = rsa_prefetch.OneThreadExecutor()
    first, broken, last = executor.submit(bytes, 3), executor.submit(bytes.fromhex, "no"), executor.submit(bytes, 1)
    assert (first.result(), last.result()) == (b"\0\0\0", b"\0")
    with pytest.raises(ValueError, match="hexadecimal"):
        broken.result()
    executor.shutdown()


def test_an_executor_does_not_make_a_call_that_was_cancelled():
    done = []
    executor = rsa_prefetch.OneThreadExecutor()
    held = threading.Lock()
    with held:
        executor.submit(held.acquire)  # keeps the thread waiting
        executor.submit(done.append, "cancelled").cancel()
        last = executor.submit(done.append, "wanted")
    last.result()
    executor.shutdown()
    assert done == ["wanted"]
