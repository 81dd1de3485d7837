"""Sessions remembered by id for their server and by ticket for any server, up to a limit."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import Origin, SessionCache
from tests.support.tls_peer import SMALL_SCRIPT, TlsPeer
from tests.support.tls_runs import ring_with_log, run
from tests.support.tls_script import TlsScript

KNOWN = Origin(b"m" * 48, 0, None)
OPAQUE = Origin(None, None, "no-key")


def test_a_session_id_belongs_to_its_server():
    cache = SessionCache()
    cache.store_id("one", b"id", KNOWN)
    assert cache.by_id("one", b"id") is KNOWN
    assert cache.by_id("two", b"id") is None


def test_an_empty_id_or_ticket_identifies_no_session():
    cache = SessionCache()
    cache.store_id("one", b"", KNOWN)
    cache.store_ticket(b"", KNOWN)
    assert cache.by_id("one", b"") is cache.by_ticket(b"") is None


def test_a_session_with_a_known_secret_is_not_replaced_by_one_without():
    cache = SessionCache()
    cache.store_ticket(b"t", KNOWN)
    cache.store_ticket(b"t", OPAQUE)
    assert cache.by_ticket(b"t") is KNOWN


def test_the_least_recently_used_session_is_dropped_first():
    cache = SessionCache(limit=2)
    for ticket in (b"1", b"2"):
        cache.store_ticket(ticket, KNOWN)
    cache.by_ticket(b"1")
    cache.store_ticket(b"3", KNOWN)
    assert cache.by_ticket(b"2") is None
    assert cache.by_ticket(b"1") is cache.by_ticket(b"3") is KNOWN


def test_a_merged_cache_has_the_sessions_of_both():
    one, two = SessionCache(), SessionCache()
    one.store_ticket(b"1", KNOWN)
    two.store_ticket(b"2", KNOWN)
    one.merge(two)
    assert one.by_ticket(b"1") is one.by_ticket(b"2") is KNOWN


def test_no_repr_shows_the_secret_of_a_session():
    assert "mmm" not in repr(KNOWN)


@pytest.mark.parametrize("tickets", [True, False])
@pytest.mark.parametrize("version", [0x0301, 0x0303])
def test_a_session_resumed_on_another_connection_is_decrypted(version, tickets):
    peer = TlsPeer(version, tickets=tickets)
    cache = SessionCache()
    first = run(peer.record(SMALL_SCRIPT).flights, cache=cache)
    recording = peer.record(SMALL_SCRIPT, resume=True)
    assert recording.resumed
    second = run(recording.flights, cache=cache)
    assert first.session.resumed is None
    assert second.session.resumed == ("ticket" if tickets else "session-id")
    assert second.plaintext == recording.plaintext
    done = next(fact for fact in second.seen if fact.kind == "handshake-done")
    assert done.what.abbreviated
    assert done.what.verified


def test_a_resumed_session_whose_origin_was_not_seen_has_this_as_its_reason():
    peer = TlsPeer()
    peer.record(SMALL_SCRIPT)
    outcome = run(peer.record(SMALL_SCRIPT, resume=True).flights)
    assert outcome.verdict()[:2] == ("opaque", "resumed-session-not-captured")
    assert outcome.plaintext == (b"", b"")


def test_a_resumed_session_has_the_reason_of_its_undecrypted_origin():
    peer, cache, nothing = TlsPeer(), SessionCache(), KeyRing()
    run(peer.record(SMALL_SCRIPT).flights, nothing, cache=cache)
    outcome = run(peer.record(SMALL_SCRIPT, resume=True).flights, nothing, cache=cache)
    assert outcome.verdict(keys=False)[:2] == ("opaque", "no-key")


def test_a_key_log_decrypts_a_resumed_session_without_its_origin():
    peer = TlsPeer(ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    peer.record(SMALL_SCRIPT)
    recording = peer.record(SMALL_SCRIPT, resume=True)
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    assert outcome.plaintext == recording.plaintext
    assert outcome.session.key_sources == {7}


@pytest.mark.parametrize("echo", [True, False])
def test_a_ticket_is_accepted_with_and_without_an_echo_of_the_made_up_id(echo):
    cache = SessionCache()
    first = TlsScript().full(ticket=b"first ticket")
    run(first.flights, cache=cache)
    second = TlsScript()
    second.abbreviated(first.master, ticket=b"first ticket", new_ticket=b"second ticket", echo=echo)
    second.data(TO_SERVER, b"hello")
    outcome = run(second.flights, cache=cache)
    assert outcome.plaintext[0] == b"hello"
    third = TlsScript().abbreviated(first.master, ticket=b"second ticket")
    third.data(TO_CLIENT, b"again")
    assert run(third.flights, cache=cache).plaintext[1] == b"again"


def test_a_ticket_sent_encrypted_resumes_its_session_on_another_connection():
    cache = SessionCache()
    first = TlsScript().full()
    first.full(ticket=b"in the dark")
    run(first.flights, cache=cache)
    second = TlsScript().abbreviated(first.master, ticket=b"in the dark")
    second.data(TO_SERVER, b"hello")
    assert run(second.flights, cache=cache).plaintext[0] == b"hello"
