"""Handshakes message by message: the facts of each step, and messages that do not change the state."""

from __future__ import annotations

import pytest

from easpcap import facts
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.events import Place
from easpcap.tls.handshake.encrypted13 import HANDSHAKE, EncryptedHandshake13
from easpcap.tls.handshake.key_finder import KeyFinder
from easpcap.tls.handshake.negotiation import Negotiation
from easpcap.tls.handshake.summary import Summary
from easpcap.tls.record.joiner import Message
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import SessionCache
from tests.support.tls_runs import run
from tests.support.tls_script import TlsScript

STEPS = ["client-hello", "server-flight", "client-key-exchange", "client-finished"]


@pytest.mark.parametrize("until", STEPS)
@pytest.mark.parametrize("sender", [TO_SERVER, TO_CLIENT])
def test_no_renegotiation_in_a_first_handshake_does_not_end_it(until, sender):
    script = TlsScript()
    for step in script.full_steps():
        if step == until:
            script.alert(sender, 1, 100)
    script.data(TO_SERVER, b"hello")
    outcome = run(script.flights)
    assert outcome.codes == []
    assert outcome.kinds.count("handshake-done") == 1
    assert outcome.plaintext[0] == b"hello"


def test_no_certificate_counts_only_from_the_client_and_as_a_warning():
    for sender, level, counts in [(TO_SERVER, 1, [0]), (TO_SERVER, 2, []), (TO_CLIENT, 1, [])]:
        script = TlsScript(0x0300)
        for step in script.full_steps(ask_certificate=False):
            if step == "server-flight":
                script.alert(sender, level, 41)
        shown = [seen.what.count for seen in run(script.flights).seen if seen.kind == "client-certificate"]
        assert shown == counts


@pytest.mark.parametrize("level", [1, 2])
def test_close_notify_of_any_level_is_a_close_notify_fact(level):
    script = TlsScript().full()
    script.alert(TO_SERVER, level, 0)
    assert [seen.what for seen in run(script.flights).seen][-1] is facts.CloseNotify()


@pytest.mark.parametrize("at", range(3))
def test_a_certificate_is_requested_later_from_the_second_handshake_on(at):
    script = TlsScript()
    for number in range(3):
        script.full(ask_certificate=number == at)
    outcome = run(script.flights)
    (asked,) = [seen.what for seen in outcome.seen if seen.kind == "certificate-request"]
    assert asked == facts.CertificateRequest("later" if at else "first-handshake")
    assert outcome.session.certificate_requested == asked.when


def test_the_facts_of_two_handshakes_are_numbered():
    script = TlsScript().full()
    script.hello_request()
    script.full()
    seen = run(script.flights).seen
    assert [each.what.renegotiation for each in seen if each.kind == "client-hello"] == [False, True]
    done = [each.what for each in seen if each.kind == "handshake-done"]
    assert [(each.number, each.abbreviated, each.verified) for each in done] == [(0, False, True), (1, False, True)]
    assert [each.encrypted for each in seen if each.kind == "hello-request"] == [True]


def test_a_second_finished_is_an_anomaly_and_ends_no_handshake_again():
    script = TlsScript().full()
    script._message(TO_CLIENT, 20, bytes(12))
    outcome = run(script.flights)
    assert "tls-unexpected-message" in outcome.codes
    assert outcome.kinds.count("handshake-done") == 1


def test_a_transcript_beyond_its_limit_is_dropped(monkeypatch):
    monkeypatch.setattr("easpcap.tls.handshake.negotiation.MAX_TRANSCRIPT_BYTES", 100)
    negotiation = Negotiation(0, renegotiation=False)
    negotiation.record(Message(1, bytes(60), 0, 0))
    negotiation.record(Message(1, bytes(40), 0, 0))
    assert (len(negotiation.transcript), negotiation.transcript_complete) == (100, True)
    negotiation.record(Message(1, bytes(1), 0, 0))
    assert (negotiation.transcript, negotiation.transcript_complete) == (b"", False)


def test_a_transcript_contains_no_hello_request():
    negotiation = Negotiation(0, renegotiation=False)
    negotiation.record(Message(0, b"\0\0\0\0", 0, 0))
    assert negotiation.transcript == b""


def test_a_client_certificate_compressed_in_an_unknown_way_counts_as_one():
    """Nobody compresses an empty list."""
    summary = Summary()
    handshake = EncryptedHandshake13(KeyFinder(KeyRing(), SessionCache(), "server"), summary)
    handshake.begin(Negotiation(0, renegotiation=False), (None, None))
    body = b"\0\2" + (500).to_bytes(3, "big") + b"\0\0\1x"
    message = Message(25, b"\x19" + len(body).to_bytes(3, "big") + body, 0, 9)
    (seen,) = handshake.take(message, Place(TO_SERVER, 0, 9, 0, encrypted=True), HANDSHAKE)
    assert seen.what == facts.ClientCertificate(1)
    assert summary.certificate_presented is True
