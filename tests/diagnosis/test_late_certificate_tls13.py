"""A certificate that the server wants after the handshake, where TLS 1.3 does not let it ask."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story, client_hello
from tests.diagnosis.test_renegotiation import cures, only, rules

RULE = "late-certificate-tls13"


def tls13(number=0, *, offers=False, version="TLS 1.3"):
    story = Story(number, version=version, suite="TLS_AES_256_GCM_SHA384")
    story.fact(client_hello(offers=offers), TO_SERVER)
    return story


def upload(number=0, **options):
    return tls13(number, **options).request(9_000).body(9_000)


def refused(story, status, says=""):
    story.response(status)
    story.exchange.response.cause_phrase = says
    return story


@pytest.mark.parametrize(("status", "says"), [(403, "post-handshake authentication"), (500, "0x80070032")])
def test_a_refusal_whose_text_names_the_reason_is_proven(status, says):
    story = refused(upload(), status, says)
    assert rules(story) == [RULE]
    finding = only(RULE, story)
    assert (finding.severity, finding.confidence) == ("critical", "proven")
    assert says in finding.detail
    assert [item.what for item in finding.evidence] == [
        "the client's ClientHello, without post_handshake_auth",
        "POST SendMail begins, 9,000 bytes announced",
        f"the response: {status}",
    ]


def test_the_remedy_asks_in_the_first_handshake_or_leaves_tls13_and_says_what_that_costs():
    remedy = cures(only(RULE, refused(upload(), 500, "0x80070032")))
    assert "hostnameport=mail.contoso.com:443 certhash=HASH appid={GUID} certstorename=MY disabletls13=enable" in remedy
    assert "clientcertnegotiation=enable" in remedy
    assert "stop-gap: Switch TLS 1.3 off" in remedy
    assert "Beware: Without TLS 1.3 the server asks for the certificate by renegotiation again" in remedy
    assert "IIS 6" not in remedy  # it and IIS 7 do not speak TLS 1.3
    assert "IIS 7 to 8.5" not in remedy


def test_a_reset_instead_of_a_response_is_inferred():
    story = upload().close("server-rst")
    assert rules(story) == ["command-abandoned", RULE]
    finding = only(RULE, story)
    assert (finding.severity, finding.confidence) == ("critical", "inferred")
    assert finding.evidence[-1].what == "the server resets the connection without a response"
    assert "A reset names no reason" in finding.against[0]


def test_a_bare_403_is_a_notice_and_inferred():
    finding = only(RULE, refused(upload(), 403))
    assert (finding.severity, finding.confidence) == ("notice", "inferred")
    assert "403.7" in finding.against[0]


def test_a_later_reset_or_another_end_is_not_reported():
    assert RULE not in rules(upload().at(10_000).close("server-rst"))
    assert RULE not in rules(upload().close("server-fin"))
    assert RULE not in rules(upload().close("client-rst"))


def test_requests_of_the_same_kind_that_are_let_in_speak_against_a_reset_and_a_bare_403():
    well = upload(1).response(200)
    assert rules(well, refused(upload(), 403)) == []
    assert rules(well, upload().close("server-rst")) == ["command-abandoned"]
    assert rules(well, refused(upload(), 403, "post-handshake authentication")) == [RULE]


def test_a_client_that_offers_post_handshake_authentication_is_not_affected():
    assert rules(refused(upload(offers=True), 403, "post-handshake authentication")) == []


def test_older_versions_can_renegotiate():
    assert rules(refused(upload(version="TLS 1.2"), 403)) == []
    assert RULE not in rules(upload(version="TLS 1.2").close("server-rst"))


def test_a_certificate_requested_in_the_first_handshake_is_not_late():
    story = tls13().first_handshake_asks(presented=True).request(9_000).body(9_000).response(403)
    assert rules(story) == ["client-certificate-rejected"]


def test_missing_bytes_may_have_been_the_response():
    story = upload().gap(TO_CLIENT)
    story.exchange.gap_before_response = True
    assert RULE not in rules(story.close("server-rst"))


def test_other_errors_are_not_reported():
    assert rules(refused(upload(), 500)) == []
    assert rules(refused(upload(), 404)) == []
