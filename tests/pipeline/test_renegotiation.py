"""Where in a request a later handshake began, by the bytes that the server had received."""

from __future__ import annotations

from types import SimpleNamespace

from easpcap.facts import (
    FATAL,
    NO_RENEGOTIATION,
    WARNING,
    Alert,
    CertificateRequest,
    ClientCertificate,
    ClientHello,
    HandshakeDone,
    HelloRequest,
)
from easpcap.http.exchange import BodyPlace
from easpcap.pipeline.renegotiation import RenegotiationTracker
from easpcap.stream import TO_CLIENT, TO_SERVER, Position
from easpcap.tls.events import Seen

HEAD = 200
BODY = 1000


def upload(*, expects_continue=False):
    request = SimpleNamespace(expects_continue=expects_continue)
    return SimpleNamespace(request=request, interim=[])


def place_in(exchange):
    """A client's stream that begins with one request: a head of HEAD bytes and a body of BODY."""

    def place(offset):
        if offset == 0:
            return None
        body = max(0, min(offset - HEAD, BODY))
        return BodyPlace(
            exchange=exchange,
            body_offset=body,
            complete=offset >= HEAD + BODY,
            in_head=offset < HEAD,
            announced=BODY,
            chunked=False,
        )

    return place


HANDSHAKE_FAILURE, CERTIFICATE_REQUIRED, INTERNAL_ERROR = 40, 116, 80
FULL_HANDSHAKE = HandshakeDone(1, abbreviated=False, renegotiation=True, verified=True)
ANSWERED_LATE = HandshakeDone(0, abbreviated=False, renegotiation=False, verified=False, post_handshake=True)


def seen(what, direction=TO_CLIENT, plain_offset=0):
    return Seen(what, direction, 0, 10, plain_offset, encrypted=True)


def client_hello(*, renegotiation):
    return ClientHello("mail.contoso.com", 0x0303, renegotiation, offers_post_handshake_auth=False)


def at(frame):
    return Position(frame, frame, frame * 1000, 0)


def tracker(place):
    renegotiations = []
    return RenegotiationTracker(renegotiations, place), renegotiations


def asked_at(received, sent, **options):
    watch, found = tracker(place_in(upload(**options)))
    watch.add(seen(HelloRequest()), at(5), received, sent)
    (only,) = found
    return only


def test_a_hello_request_in_mid_body_has_both_body_offsets():
    found = asked_at(received=HEAD + 300, sent=HEAD + 700)
    assert found.mid_body
    assert (found.body_offset_acknowledged, found.body_offset_sent) == (300, 700)
    assert found.outcome == "unanswered"


def test_a_hello_request_before_the_first_body_byte_counts_as_mid_body():
    assert asked_at(received=HEAD, sent=HEAD).mid_body


def test_the_bytes_that_the_server_had_received_decide_and_not_those_sent():
    assert asked_at(received=HEAD + 10, sent=HEAD + BODY).mid_body
    assert not asked_at(received=HEAD + BODY, sent=HEAD + BODY).mid_body


def test_a_hello_request_between_requests_is_not_mid_body():
    watch, found = tracker(lambda _offset: None)
    watch.add(seen(HelloRequest()), at(5), 0, 0)
    assert found[0].exchange is None
    assert not found[0].mid_body


def test_a_client_that_holds_its_body_for_100_continue_is_not_interrupted():
    found = asked_at(received=HEAD, sent=HEAD, expects_continue=True)
    assert found.awaiting_continue
    assert not found.mid_body
    assert asked_at(received=HEAD, sent=HEAD + 10, expects_continue=True).mid_body


def test_a_full_handshake_with_an_empty_certificate_is_followed_to_its_end():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    watch.add(seen(client_hello(renegotiation=True), TO_SERVER, HEAD + 800), at(6), HEAD + 300, HEAD + 800)
    watch.add(seen(CertificateRequest("later")), at(7), HEAD + 800, HEAD + 800)
    watch.add(seen(ClientCertificate(0), TO_SERVER), at(8), HEAD + 800, HEAD + 800)
    watch.add(seen(FULL_HANDSHAKE), at(9), HEAD + 800, HEAD + 800)
    (only,) = found
    assert (only.by, only.outcome, only.certificate_requested, only.certificate_presented) == (
        "server",
        "full",
        True,
        False,
    )
    assert (only.client_hello, only.done) == (at(6), at(9))


def test_a_renegotiation_begun_by_the_client_is_attributed_to_it():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(client_hello(renegotiation=True), TO_SERVER, HEAD + 400), at(6), HEAD + 300, HEAD + 500)
    assert found[0].by == "client"
    assert found[0].body_offset_sent == 400


def test_the_first_handshake_is_not_a_renegotiation():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(client_hello(renegotiation=False), TO_SERVER, 0), at(1), 0, 0)
    watch.add(seen(FULL_HANDSHAKE), at(2), 0, 0)
    assert found == []


def test_a_refusal_remains_a_refusal_however_the_server_reacts():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    refusal = seen(Alert(WARNING, NO_RENEGOTIATION), TO_SERVER)
    watch.add(refusal, at(6), HEAD + 300, HEAD + 800)
    watch.add(seen(Alert(FATAL, HANDSHAKE_FAILURE)), at(7), HEAD + 800, HEAD + 800)
    assert (found[0].outcome, found[0].alert, found[0].alert_name) == ("refused", at(6), "no_renegotiation")


def test_a_fatal_alert_is_a_failure():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    watch.add(seen(Alert(FATAL, HANDSHAKE_FAILURE)), at(7), HEAD + 300, HEAD + 800)
    assert (found[0].outcome, found[0].alert_name) == ("failed", "handshake_failure")


def test_two_hello_requests_in_one_request_count_once_and_in_two_requests_twice():
    first, second = upload(), upload()
    places = {1: place_in(first)(HEAD + 10), 2: place_in(second)(HEAD + 10)}
    watch, found = tracker(places.get)
    watch.add(seen(HelloRequest()), at(5), 1, 1)
    watch.add(seen(HelloRequest()), at(6), 1, 1)
    watch.add(seen(HelloRequest()), at(7), 2, 2)
    assert [r.exchange for r in found] == [first, second]


def asked_late(watch, frame, received, sent):
    watch.add(seen(CertificateRequest("later", post_handshake=True)), at(frame), received, sent)


def test_a_tls13_certificate_request_after_the_handshake_can_be_mid_body():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(CertificateRequest("first-handshake")), at(2), 0, 0)
    asked_late(watch, 5, HEAD + 300, HEAD + 700)
    (only,) = found
    assert (only.by, only.mid_body, only.body_offset_acknowledged, only.body_offset_sent) == ("server", True, 300, 700)
    assert (only.outcome, only.certificate_requested, only.certificate_presented) == ("post-handshake", True, None)
    watch.add(seen(ClientCertificate(1), TO_SERVER), at(6), HEAD + 800, HEAD + 800)
    watch.add(seen(ANSWERED_LATE, TO_SERVER), at(7), HEAD + 800, HEAD + 800)
    assert (only.outcome, only.certificate_presented, only.done) == ("post-handshake", True, at(7))


def answered_late(response):
    exchange = upload()
    exchange.response = response
    watch, found = tracker(place_in(exchange))
    asked_late(watch, 5, HEAD + 300, HEAD + 700)
    watch.add(seen(ClientCertificate(0), TO_SERVER), at(6), HEAD + 800, HEAD + 800)
    watch.add(seen(ANSWERED_LATE, TO_SERVER), at(7), HEAD + 800, HEAD + 800)
    return watch, found


def test_a_late_certificate_that_the_server_rejects_is_a_failure():
    watch, found = answered_late(None)
    watch.add(seen(Alert(FATAL, CERTIFICATE_REQUIRED)), at(8), HEAD + 800, HEAD + 800)
    assert (found[0].outcome, found[0].alert_name) == ("failed", "certificate_required")


def test_an_alert_after_the_response_does_not_concern_the_late_certificate():
    watch, found = answered_late(object())
    watch.add(seen(Alert(FATAL, INTERNAL_ERROR)), at(8), HEAD + 800, HEAD + 800)
    assert found[0].outcome == "post-handshake"


def test_two_late_certificate_requests_are_two_renegotiations():
    watch, found = answered_late(None)
    asked_late(watch, 8, HEAD + 900, HEAD + 900)
    assert [(each.position, each.done) for each in found] == [(at(5), at(7)), (at(8), None)]


def test_no_renegotiation_from_the_server_refuses_the_renegotiation_of_the_client():
    watch, found = tracker(place_in(upload()))
    watch.add(seen(client_hello(renegotiation=True), TO_SERVER), at(5), 0, 0)
    watch.add(seen(Alert(WARNING, NO_RENEGOTIATION), TO_CLIENT), at(6), 0, 0)
    assert [(r.by, r.outcome) for r in found] == [("client", "refused")]
