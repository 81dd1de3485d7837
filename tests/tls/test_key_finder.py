"""Which secrets are found for a handshake: by its key exchange, by the session that it resumes, by a key log."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import padding

from easpcap.tls.handshake.extensions import ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, SESSION_TICKET
from easpcap.tls.handshake.key_finder import KeyFinder
from easpcap.tls.handshake.messages import ClientHello, ServerHello
from easpcap.tls.handshake.negotiation import Candidate, Negotiation
from easpcap.tls.record.joiner import Message
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import Origin, SessionCache
from tests.support.tls_peer import server_certificate_der, server_private_key
from tests.support.tls_runs import ring_with_key, ring_with_log

CLIENT_RANDOM, SERVER_RANDOM = b"c" * 32, b"s" * 32
ONE, TWO = Origin(b"1" * 48, 1, None), Origin(b"2" * 48, 2, None)
RSA, ECDHE = 0x002F, 0xC02F


def negotiation(*, suite=RSA, offered=(), chosen=(), session_id=b"", echo=True, ticket=None):
    """A handshake after both hellos."""
    extensions = dict.fromkeys(offered, b"") | ({} if ticket is None else {SESSION_TICKET: ticket})
    found = Negotiation(0, renegotiation=False)
    found.client_hello = ClientHello(0x0303, CLIENT_RANDOM, session_id, (suite,), extensions)
    answer = session_id if echo else b""
    found.agree(ServerHello(0x0303, SERVER_RANDOM, answer, suite, 0, dict.fromkeys(chosen, b"")))
    return found


def finder(keyring=None, cache=None, server="server"):
    return KeyFinder(KeyRing() if keyring is None else keyring, SessionCache() if cache is None else cache, server)


def key_exchange(key=None):
    encrypted = (key or server_private_key()).public_key().encrypt(b"\3\3" + bytes(46), padding.PKCS1v15())
    return len(encrypted).to_bytes(2, "big") + encrypted


def cache_with(*, session_id=None, ticket=None):
    cache = SessionCache()
    cache.store_id("server", b"the id", session_id) if session_id else None
    cache.store_ticket(b"the ticket", ticket) if ticket else None
    return cache


# -- what both hellos settle -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "field"), [(ENCRYPT_THEN_MAC, "encrypt_then_mac"), (EXTENDED_MASTER_SECRET, "extended_master")]
)
def test_an_extension_is_used_only_where_it_is_offered_and_echoed(extension, field):
    used = {
        (offers, echoes): getattr(
            negotiation(offered=(extension,) * offers, chosen=(extension,) * echoes).agreement, field
        )
        for offers in (0, 1)
        for echoes in (0, 1)
    }
    assert used == {(0, 0): False, (0, 1): False, (1, 0): False, (1, 1): True}


# -- the key exchange --------------------------------------------------------------------------------------------------


def test_the_private_key_gives_one_master_secret_with_its_source():
    found = negotiation()
    found.certificate = server_certificate_der()
    finder(ring_with_key()).find_by_key_exchange(found, key_exchange())
    assert [(len(each.master), each.source) for each in found.candidates] == [(48, 0)]


def test_the_private_key_gives_no_secret_for_a_handshake_with_an_ephemeral_key():
    for found in (negotiation(suite=ECDHE), negotiation()):
        found.ephemeral_key = True  # as export suites do
        finder(ring_with_key()).find_by_key_exchange(found, key_exchange())
        assert found.candidates == []


def test_a_key_log_is_tried_before_a_private_key():
    found = negotiation()
    log = ring_with_log(f"CLIENT_RANDOM {CLIENT_RANDOM.hex()} {'ab' * 48}")
    log.add_private_key(server_private_key(), 0)
    finder(log).find_by_key_exchange(found, key_exchange())
    assert [each.source for each in found.candidates] == [7, 0]
    assert found.candidates[0] == Candidate(b"\xab" * 48, 7)


def test_a_key_log_may_give_the_premaster_secret_of_any_key_exchange():
    found = negotiation(suite=ECDHE)
    log = ring_with_log(f"PMS_CLIENT_RANDOM {CLIENT_RANDOM.hex()} {'ab' * 32}")
    finder(log).find_by_key_exchange(found, b"")
    assert [each.source for each in found.candidates] == [7]


def test_an_extended_master_secret_needs_every_message_of_the_handshake():
    extended = {"offered": (EXTENDED_MASTER_SECRET,), "chosen": (EXTENDED_MASTER_SECRET,)}
    whole, broken = negotiation(**extended), negotiation(**extended)
    for found in (whole, broken):
        found.record(Message(1, b"\1\0\0\0", 0, 9))
    broken.break_transcript()
    for found in (whole, broken):
        finder(ring_with_key()).find_by_key_exchange(found, key_exchange())
    assert (len(whole.candidates), len(broken.candidates)) == (1, 0)


def test_without_the_client_hello_no_secret_can_be_derived():
    found = Negotiation(0, renegotiation=False)
    found.agree(ServerHello(0x0303, SERVER_RANDOM, b"", RSA, 0, {}))
    finder(ring_with_key()).find_by_key_exchange(found, key_exchange())
    assert found.candidates == []


# -- resumption --------------------------------------------------------------------------------------------------------


def test_a_session_id_that_the_server_echoes_resumes_its_session():
    found = negotiation(session_id=b"the id")
    assert finder(cache=cache_with(session_id=ONE)).find_by_resumption(found) == "session-id"
    assert found.candidates == [Candidate(ONE.master, ONE.source)]
    assert found.origin is ONE


def test_a_session_id_that_the_server_does_not_echo_resumes_no_session():
    found = negotiation(session_id=b"the id", echo=False)
    assert finder(cache=cache_with(session_id=ONE)).find_by_resumption(found) is None
    assert found.candidates == []
    assert found.origin is None


def test_a_session_of_another_server_gives_no_secret():
    found = negotiation(session_id=b"the id")
    assert finder(cache=cache_with(session_id=ONE), server="another").find_by_resumption(found) == "session-id"
    assert found.candidates == []


def test_a_known_ticket_takes_precedence_over_a_known_session_id():
    found = negotiation(session_id=b"the id", ticket=b"the ticket")
    assert finder(cache=cache_with(session_id=ONE, ticket=TWO)).find_by_resumption(found) == "ticket"
    assert found.candidates == [Candidate(TWO.master, 2), Candidate(ONE.master, 1)]
    assert found.origin is TWO


@pytest.mark.parametrize(("known", "how"), [(None, "ticket"), (ONE, "session-id")])
def test_an_unknown_ticket_counts_unless_the_session_id_is_known(known, how):
    found = negotiation(session_id=b"the id", ticket=b"an unknown ticket")
    assert finder(cache=cache_with(session_id=known)).find_by_resumption(found) == how


def test_without_the_client_hello_it_is_not_known_how_a_session_was_resumed():
    found = Negotiation(0, renegotiation=False)
    assert finder().find_by_resumption(found) is None
    assert found.abbreviated


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_a_proven_session_is_remembered_by_its_id_and_its_ticket():
    cache, found = SessionCache(), negotiation(session_id=b"the id")
    found.ticket, found.proven = b"the ticket", Candidate(b"m" * 48, 3)
    finder(cache=cache).remember(found)
    expected = Origin(b"m" * 48, 3, None)
    assert cache.by_id("server", b"the id") == cache.by_ticket(b"the ticket") == expected


def test_a_session_whose_key_was_not_found_is_remembered_with_the_reason():
    cache, found = SessionCache(), negotiation(session_id=b"the id", suite=ECDHE)
    finder(cache=cache).remember(found)
    assert cache.by_id("server", b"the id") == Origin(None, None, "forward-secrecy")


def test_a_resumed_session_whose_key_was_not_found_does_not_replace_the_session_of_its_id():
    cache, found = SessionCache(), negotiation(session_id=b"the id")
    found.abbreviated = True
    finder(cache=cache).remember(found)
    assert cache.by_id("server", b"the id") is None


# -- TLS 1.3 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "known"),
    [
        ("CLIENT_TRAFFIC_SECRET_0", True),
        ("SERVER_TRAFFIC_SECRET_0", True),
        ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", True),
        ("SERVER_HANDSHAKE_TRAFFIC_SECRET", True),
        ("CLIENT_EARLY_TRAFFIC_SECRET", False),
        ("EXPORTER_SECRET", False),
    ],
)
def test_a_key_log_knows_a_tls13_connection_by_any_secret_of_its_records(label, known):
    log = ring_with_log(f"{label} {CLIENT_RANDOM.hex()} {'ab' * 32}")
    assert finder(log).has_traffic_secret(CLIENT_RANDOM) is known
    assert not finder(log).has_traffic_secret(SERVER_RANDOM)
