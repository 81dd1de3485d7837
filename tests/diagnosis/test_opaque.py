"""What is found on connections that could not be decrypted: little, and never more than is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap.diagnosis import diagnose
from easpcap.diagnosis.hello_request import hello_request_sizes
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story, analysis
from tests.diagnosis.test_renegotiation import only, rules

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
HELLO = 28  # of an AES-GCM suite

DEADLOCK, MID_BODY, PER_REQUEST = "renegotiation-deadlock", "renegotiation-mid-body", "renegotiation-per-request"


def handshake(number=0):
    """The first handshake, as record types show it."""
    story = Story(number, suite="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    story.records(TO_SERVER, HANDSHAKE, 152).records(TO_CLIENT, HANDSHAKE, 93, 1660, 300, 4)
    story.records(TO_SERVER, HANDSHAKE, 37).records(TO_SERVER, CCS, 1).records(TO_SERVER, HANDSHAKE, 40)
    return story.records(TO_CLIENT, CCS, 1).records(TO_CLIENT, HANDSHAKE, 40)


def upload():
    """A request head, the question, and more data which the server had not when it asked."""
    story = handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, HELLO)
    return story.at(200).records(TO_SERVER, DATA, *[16_408] * 7)


def renegotiate(story, *, certificate=True):
    """The rest of a full handshake under the first keys."""
    story.records(TO_SERVER, HANDSHAKE, 208).records(TO_CLIENT, HANDSHAKE, 105, 1660, 100, 28)
    story.records(TO_SERVER, HANDSHAKE, *([1632, 304, 304] if certificate else [31, 304])).records(TO_SERVER, CCS, 25)
    return story.records(TO_SERVER, HANDSHAKE, 40).records(TO_CLIENT, CCS, 25).records(TO_CLIENT, HANDSHAKE, 40)


def test_a_hello_request_in_the_upload_a_closed_window_and_a_reset_are_an_inferred_deadlock():
    story = upload().at(234).zero_window().at(8_000).close("server-rst")
    assert rules(story) == [DEADLOCK]
    finding = only(DEADLOCK, story)
    assert (finding.confidence, finding.exchanges) == ("inferred", [])
    assert finding.against[0].startswith("Nothing was decrypted")
    hello = next(s for s in story.record_runs if s.last_fragment_size == HELLO)
    assert hello.first.frame in [item.position.frame for item in finding.evidence]
    assert "the server's receive window is zero; no handshake record of the client follows" in [
        item.what for item in finding.evidence
    ]


def question_under_way():
    """The server asks while the client is within a record, which then never becomes whole."""
    return handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, HELLO).at(200)


def test_a_window_that_fills_within_a_record_is_a_deadlock_too():
    story = question_under_way().unfinished(9_000).at(234).zero_window().at(8_000).close("server-rst")
    assert rules(story) == [DEADLOCK]


def test_a_few_bytes_of_an_unfinished_record_may_be_a_client_hello_and_prove_nothing():
    assert rules(question_under_way().unfinished(300).at(8_000).close("server-rst")) == []


def test_a_client_hello_that_is_never_answered_is_a_deadlock_too():
    story = upload().records(TO_SERVER, HANDSHAKE, 208).at(8_000).close("server-rst")
    assert rules(story) == [DEADLOCK]


def test_a_client_that_closes_after_the_stall_is_a_deadlock():
    story = upload().at(30_000).records(TO_SERVER, ALERT, 26).at(30_001).close("client-fin")
    assert rules(story) == [DEADLOCK]


def test_an_immediate_alert_of_the_server_is_no_deadlock():
    story = upload().at(210).records(TO_CLIENT, ALERT, 26).close("server-fin")
    assert rules(story) == [MID_BODY]


def test_a_capture_that_ends_at_once_shows_only_the_hello_request():
    assert rules(upload()) == [MID_BODY]


def test_with_a_response_it_is_at_most_mid_body():
    story = upload().at(9_000).records(TO_CLIENT, DATA, 559).close("server-fin")
    assert rules(story) == [MID_BODY]


def test_a_handshake_that_the_client_answers_after_its_upload_is_mid_body():
    story = renegotiate(upload()).records(TO_CLIENT, DATA, 300)
    assert rules(story) == [MID_BODY, PER_REQUEST]


def test_a_hello_request_after_the_whole_upload_is_at_most_per_request():
    story = handshake().records(TO_SERVER, DATA, 10_288).records(TO_CLIENT, HANDSHAKE, HELLO)
    assert rules(renegotiate(story).records(TO_CLIENT, DATA, 352)) == [PER_REQUEST]


def test_a_flight_too_short_for_a_certificate_is_not_reported():
    story = handshake().records(TO_SERVER, DATA, 10_288).records(TO_CLIENT, HANDSHAKE, HELLO)
    assert rules(renegotiate(story, certificate=False).records(TO_CLIENT, DATA, 352)) == []


def test_data_that_the_server_had_already_received_does_not_count_as_sent_after_the_hello_request():
    story = handshake().records(TO_SERVER, DATA, 268, 5_000)
    story.records(TO_CLIENT, HANDSHAKE, HELLO).at(9_000).close("server-fin")
    assert rules(story) == []


def test_a_hello_request_between_requests_gives_no_finding():
    story = handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, DATA, 300)
    story.records(TO_CLIENT, HANDSHAKE, HELLO).records(TO_SERVER, DATA, 268).at(9_000)
    assert rules(story.close("server-fin")) == []


@pytest.mark.parametrize("size", [27, 29, 40, 170])
def test_a_record_of_another_length_is_not_a_hello_request(size):
    story = handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, size)
    story.records(TO_SERVER, DATA, 16_408).zero_window().at(9_000)
    assert rules(story.close("server-rst")) == []


def test_a_server_hello_done_in_a_handshake_is_not_a_hello_request():
    story = handshake().records(TO_SERVER, DATA, 268).records(TO_SERVER, HANDSHAKE, 208)
    story.records(TO_CLIENT, HANDSHAKE, 105).records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, HELLO)
    assert rules(story.records(TO_SERVER, DATA, 16_408).at(9_000).close("server-rst")) == []


def test_a_finished_after_early_data_of_the_client_is_not_a_hello_request():
    story = Story(suite="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").records(TO_SERVER, HANDSHAKE, 152)
    story.records(TO_SERVER, DATA, 268).records(TO_CLIENT, CCS, 1).records(TO_CLIENT, HANDSHAKE, HELLO)
    assert rules(story.records(TO_SERVER, DATA, 16_408).at(9_000).close("server-rst")) == []


@pytest.mark.parametrize("direction", [TO_CLIENT, TO_SERVER])
def test_missing_bytes_make_no_deadlock(direction):
    story = upload().zero_window().gap(direction).at(9_000).close("server-rst")
    assert DEADLOCK not in rules(story)


def test_an_unknown_suite_or_tls13_says_nothing():
    for version, suite in (("TLS 1.3", "TLS_AES_128_GCM_SHA256"), (None, None), ("TLS 1.2", "0xc0ff")):
        story = upload().at(8_000).close("server-rst")
        story.tls.version, story.tls.cipher_suite = version, suite
        assert rules(story) == []


def test_nothing_is_inferred_on_a_decrypted_connection():
    story = upload().at(8_000).close("server-rst")
    story.decryption.status = "decrypted"
    assert rules(story) == []


@pytest.mark.parametrize(
    ("version", "suite", "sizes"),
    [
        ("TLS 1.2", "TLS_RSA_WITH_AES_128_GCM_SHA256", {28}),
        ("TLS 1.2", "TLS_RSA_WITH_AES_128_CCM", {28}),
        ("TLS 1.2", "TLS_RSA_WITH_AES_128_CCM_8", {20}),
        ("TLS 1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", {20}),
        ("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", {16 + 32, 16 + 16 + 20}),
        ("TLS 1.2", "TLS_RSA_WITH_AES_256_CBC_SHA256", {16 + 48, 16 + 16 + 32}),
        ("TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", {16 + 64, 16 + 16 + 48}),
        ("TLS 1.1", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", {8 + 32, 8 + 8 + 20}),
        ("TLS 1.0", "TLS_RSA_WITH_AES_128_CBC_SHA", {32, 16 + 20}),
        ("SSL 3.0", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", {32}),
        ("SSL 3.0", "TLS_RSA_WITH_RC4_128_MD5", {20}),
        ("TLS 1.0", "TLS_RSA_WITH_RC4_128_SHA", {24}),
        ("TLS 1.2", "TLS_RSA_WITH_NULL_SHA256", {36}),
        ("TLS 1.2", "TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384", {16 + 64, 16 + 16 + 48}),
        ("TLS 1.2", "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256", {28}),
        ("TLS 1.3", "TLS_AES_128_GCM_SHA256", set()),
        ("TLS 1.2", "TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC", set()),
        (None, None, set()),
    ],
)
def test_a_hello_request_has_one_length_per_suite(version, suite, sizes):
    assert hello_request_sizes(version, suite) == sizes


@given(
    st.lists(
        st.tuples(
            st.sampled_from([TO_SERVER, TO_CLIENT]),
            st.sampled_from([CCS, ALERT, HANDSHAKE, DATA]),
            st.sampled_from([1, 26, HELLO, 40, 5_000]),
            st.integers(0, 3_000),
        ),
        max_size=40,
    )
)
def test_any_order_of_records_is_judged_without_an_error_and_never_as_proven(steps):
    story = handshake()
    for direction, kind, size, milliseconds in steps:
        story.at(story.clock + milliseconds).records(direction, kind, size)
    findings, _ = diagnose(analysis(story))
    assert all(finding.confidence == "inferred" and finding.against for finding in findings)
    answered = [s.first.stamp for s in story.record_runs if s.content_type == DATA and s.direction == TO_CLIENT]
    for finding in findings:
        if finding.rule == DEADLOCK:
            assert not any(stamp > finding.evidence[1].position.stamp for stamp in answered)
