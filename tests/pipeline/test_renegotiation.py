"""Where in a request a later handshake fell, told from what the server had received."""

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
    watch.see(seen(HelloRequest()), at(5), received, sent)
    (only,) = found
    return only


def test_a_hello_request_in_the_middle_of_a_body_knows_both_offsets():
    found = asked_at(received=HEAD + 300, sent=HEAD + 700)
    assert found.mid_body
    assert (found.body_offset_acknowledged, found.body_offset_sent) == (300, 700)
    assert found.outcome == "unanswered"


def test_the_first_byte_of_a_body_counts_as_its_middle():
    assert asked_at(received=HEAD, sent=HEAD).mid_body


def test_what_the_server_had_received_decides_not_what_the_client_had_sent():
    assert asked_at(received=HEAD + 10, sent=HEAD + BODY).mid_body
    assert not asked_at(received=HEAD + BODY, sent=HEAD + BODY).mid_body


def test_between_requests_there_is_no_request_to_be_in_the_middle_of():
    watch, found = tracker(lambda _offset: None)
    watch.see(seen(HelloRequest()), at(5), 0, 0)
    assert found[0].exchange is None
    assert not found[0].mid_body


def test_a_client_that_holds_its_body_for_100_continue_is_not_interrupted():
    found = asked_at(received=HEAD, sent=HEAD, expects_continue=True)
    assert found.awaiting_continue
    assert not found.mid_body
    assert asked_at(received=HEAD, sent=HEAD + 10, expects_continue=True).mid_body


def test_a_full_handshake_with_an_empty_certificate_is_followed_to_its_end():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    watch.see(seen(client_hello(renegotiation=True), TO_SERVER, HEAD + 800), at(6), HEAD + 300, HEAD + 800)
    watch.see(seen(CertificateRequest("later")), at(7), HEAD + 800, HEAD + 800)
    watch.see(seen(ClientCertificate(0), TO_SERVER), at(8), HEAD + 800, HEAD + 800)
    watch.see(seen(FULL_HANDSHAKE), at(9), HEAD + 800, HEAD + 800)
    (only,) = found
    assert (only.by, only.outcome, only.certificate_requested, only.certificate_presented) == (
        "server",
        "full",
        True,
        False,
    )
    assert (only.client_hello, only.done) == (at(6), at(9))


def test_a_client_that_begins_by_itself_is_told_apart():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(client_hello(renegotiation=True), TO_SERVER, HEAD + 400), at(6), HEAD + 300, HEAD + 500)
    assert found[0].by == "client"
    assert found[0].body_offset_sent == 400


def test_the_first_handshake_is_no_renegotiation():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(client_hello(renegotiation=False), TO_SERVER, 0), at(1), 0, 0)
    watch.see(seen(FULL_HANDSHAKE), at(2), 0, 0)
    assert found == []


def test_a_refusal_stays_a_refusal_whatever_the_server_makes_of_it():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    refusal = seen(Alert(WARNING, NO_RENEGOTIATION), TO_SERVER)
    watch.see(refusal, at(6), HEAD + 300, HEAD + 800)
    watch.see(seen(Alert(FATAL, HANDSHAKE_FAILURE)), at(7), HEAD + 800, HEAD + 800)
    assert (found[0].outcome, found[0].alert, found[0].alert_name) == ("refused", at(6), "no_renegotiation")


def test_a_fatal_alert_is_a_failure():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(HelloRequest()), at(5), HEAD + 300, HEAD + 700)
    watch.see(seen(Alert(FATAL, HANDSHAKE_FAILURE)), at(7), HEAD + 300, HEAD + 800)
    assert (found[0].outcome, found[0].alert_name) == ("failed", "handshake_failure")


def test_asking_twice_in_one_request_is_one_question_and_in_two_requests_two():
    first, second = upload(), upload()
    places = {1: place_in(first)(HEAD + 10), 2: place_in(second)(HEAD + 10)}
    watch, found = tracker(places.get)
    watch.see(seen(HelloRequest()), at(5), 1, 1)
    watch.see(seen(HelloRequest()), at(6), 1, 1)
    watch.see(seen(HelloRequest()), at(7), 2, 2)
    assert [r.exchange for r in found] == [first, second]


def asked_late(watch, frame, received, sent):
    watch.see(seen(CertificateRequest("later", post_handshake=True)), at(frame), received, sent)


def test_a_certificate_request_after_the_handshake_of_tls13_is_a_question_in_mid_body():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(CertificateRequest("first-handshake")), at(2), 0, 0)
    asked_late(watch, 5, HEAD + 300, HEAD + 700)
    (only,) = found
    assert (only.by, only.mid_body, only.body_offset_acknowledged, only.body_offset_sent) == ("server", True, 300, 700)
    assert (only.outcome, only.certificate_requested, only.certificate_presented) == ("post-handshake", True, None)
    watch.see(seen(ClientCertificate(1), TO_SERVER), at(6), HEAD + 800, HEAD + 800)
    watch.see(seen(ANSWERED_LATE, TO_SERVER), at(7), HEAD + 800, HEAD + 800)
    assert (only.outcome, only.certificate_presented, only.done) == ("post-handshake", True, at(7))


def answered_late(response):
    exchange = upload()
    exchange.response = response
    watch, found = tracker(place_in(exchange))
    asked_late(watch, 5, HEAD + 300, HEAD + 700)
    watch.see(seen(ClientCertificate(0), TO_SERVER), at(6), HEAD + 800, HEAD + 800)
    watch.see(seen(ANSWERED_LATE, TO_SERVER), at(7), HEAD + 800, HEAD + 800)
    return watch, found


def test_a_late_certificate_that_the_server_does_not_like_is_a_failure():
    watch, found = answered_late(None)
    watch.see(seen(Alert(FATAL, CERTIFICATE_REQUIRED)), at(8), HEAD + 800, HEAD + 800)
    assert (found[0].outcome, found[0].alert_name) == ("failed", "certificate_required")


def test_an_alert_behind_the_response_has_nothing_to_do_with_the_late_certificate():
    watch, found = answered_late(object())
    watch.see(seen(Alert(FATAL, INTERNAL_ERROR)), at(8), HEAD + 800, HEAD + 800)
    assert found[0].outcome == "post-handshake"


def test_two_late_questions_one_after_the_other_are_two():
    watch, found = answered_late(None)
    asked_late(watch, 8, HEAD + 900, HEAD + 900)
    assert [(each.position, each.done) for each in found] == [(at(5), at(7)), (at(8), None)]


def test_a_server_that_says_no_to_the_client_s_own_renegotiation_refuses_it():
    watch, found = tracker(place_in(upload()))
    watch.see(seen(client_hello(renegotiation=True), TO_SERVER), at(5), 0, 0)
    watch.see(seen(Alert(WARNING, NO_RENEGOTIATION), TO_CLIENT), at(6), 0, 0)
    assert [(r.by, r.outcome) for r in found] == [("client", "refused")]
