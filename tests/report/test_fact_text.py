"""Facts in words, as the timeline shows them, and what the classes of facts promise."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import get_args

import pytest

import easpcap
from easpcap import facts
from easpcap.report.fact_text import fact_text
from easpcap.report.timeline import FACT_EVENTS

HELLO = facts.ClientHello("mail.contoso.com", 0x0303, renegotiation=False, offers_post_handshake_auth=False)
DONE = facts.HandshakeDone(0, abbreviated=False, renegotiation=False, verified=True)

WORDS = [
    (facts.TcpOpen(), ""),
    (facts.ZeroWindow(), ""),
    (facts.Fin(), ""),
    (facts.Rst(), ""),
    (facts.MissingBytes(1460), "1,460 bytes are missing in the capture"),
    (facts.CaptureEnd(), "the capture ends while this connection is open"),
    (facts.TlsBegin("SMTP STARTTLS"), "TLS begins after SMTP STARTTLS"),
    (facts.TlsBegin(""), "TLS begins after clear text"),
    (HELLO, "ClientHello for mail.contoso.com"),
    (facts.ClientHello(None, 0x0303, renegotiation=False, offers_post_handshake_auth=False), "ClientHello"),
    (facts.ServerHello(0x0303, "TLS_AES_128_GCM_SHA256", retry=False), "ServerHello, TLS_AES_128_GCM_SHA256"),
    (facts.ServerHello(0x0304, "TLS_AES_128_GCM_SHA256", retry=True), "HelloRetryRequest, TLS_AES_128_GCM_SHA256"),
    (facts.ServerHello(0x0002, None, retry=False), "SSL 2.0 ServerHello"),
    (facts.ServerCertificate(2), "Certificate of the server"),
    (facts.CertificateRequest("first-handshake"), "CertificateRequest"),
    (facts.CertificateRequest("later"), "CertificateRequest"),
    (facts.CertificateRequest("later", post_handshake=True), "CertificateRequest after the handshake"),
    (facts.ClientCertificate(1), "Certificate of the client"),
    (facts.ClientCertificate(0), "the client has no certificate to present"),
    (facts.ClientKeyExchange(), "ClientKeyExchange"),
    (facts.ChangeCipherSpec(), "ChangeCipherSpec"),
    (DONE, "full handshake done"),
    (facts.HandshakeDone(1, abbreviated=True, renegotiation=True, verified=True), "abbreviated handshake done"),
    (
        facts.HandshakeDone(0, abbreviated=False, renegotiation=False, verified=False, post_handshake=True),
        "post-handshake authentication done",
    ),
    (facts.HelloRequest(), "HelloRequest"),
    (facts.Alert(1, 100), "warning alert no_renegotiation"),
    (facts.Alert(2, 48), "fatal alert unknown_ca"),
    (facts.Alert(2, 200), "fatal alert 200"),
    (facts.CloseNotify(), "close_notify"),
]


@pytest.mark.parametrize(("what", "words"), WORDS)
def test_a_fact_is_put_into_words(what, words):
    assert fact_text(what) == words


def test_every_kind_of_fact_has_words_and_a_name_that_no_other_kind_has():
    kinds = get_args(facts.Occurrence)
    assert {type(what) for what, _ in WORDS} == set(kinds)
    names = [kind.kind for kind in kinds]
    assert len(set(names)) == len(names)
    assert set(FACT_EVENTS) <= set(names)


def test_facts_are_compared_by_their_kind_and_their_fields():
    assert facts.ServerCertificate(1) == facts.ServerCertificate(1) != facts.ServerCertificate(2)
    assert facts.ServerCertificate(1) != facts.ClientCertificate(1)
    assert facts.Fin() == facts.Fin() != facts.Rst()


@pytest.mark.parametrize("what", [facts.HelloRequest(), facts.Alert(2, 40), HELLO], ids=lambda what: what.kind)
def test_a_fact_survives_pickling_and_copying(what):
    assert pickle.loads(pickle.dumps(what)) == what
    assert copy.deepcopy(what) == what


def test_a_fact_without_fields_takes_no_memory_of_its_own():
    assert pickle.loads(pickle.dumps(facts.Fin())) is copy.copy(facts.Fin()) is facts.Fin()


def test_the_classes_are_part_of_the_public_interface():
    assert "facts" in easpcap.__all__
    assert easpcap.__getattr__("facts") is sys.modules["easpcap.facts"]
