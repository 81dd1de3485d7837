"""A 413, and how certain it is what set the limit."""

from __future__ import annotations

from itertools import product

import pytest

from easpcap.diagnosis.rules import request_too_large
from easpcap.diagnosis.rules.request_too_large import Grounds
from easpcap.stream import TO_CLIENT
from tests.diagnosis.builders import Story
from tests.diagnosis.test_renegotiation import cures, only, rules

RULE = "request-too-large"


def refused(number=0, size=307_200, **fields):
    return Story(number).request(size, **fields).body(min(size, 131_072)).response(413, "Request Entity Too Large")


def refused_of(size):
    return Story().request(size).body(size).response(413)


def small(number=1, size=10_240):
    """A smaller mail for which the server renegotiates."""
    story = Story(number).request(size).body(size).hello_request(size).client_hello().renegotiated()
    return story.response(200)


def test_a_413_alone_is_a_possible_late_certificate_and_names_its_doubts():
    finding = only(RULE, refused())
    assert rules(refused()) == [RULE]
    assert "Possible cause: the server asks for the client certificate only after" in finding.detail
    assert "IIS reads 49,152 bytes ahead" in finding.detail
    assert "Apache reads 131,072 bytes ahead" in finding.detail
    assert "another limit on request bodies would look the same" in finding.against[0]
    assert "clientcertnegotiation=enable" in cures(finding)
    assert "/uploadReadAheadSize:10485760" in cures(finding)
    assert "bytes, not KB, and 49152 is already the default" in cures(finding)


def test_smaller_requests_that_renegotiate_make_the_late_certificate_likely():
    finding = only(RULE, refused(), small(1, 10_240), small(2, 40_960))
    assert "Likely cause: the server asks for the client certificate only after" in finding.detail
    assert "up to 40,960 bytes" in finding.detail
    assert finding.against == []
    assert finding.evidence[-1].what == (
        "for comparison, connection 2: POST SendMail with 40,960 bytes was asked for a certificate and answered 200"
    )
    assert "frame.number <= 2" not in finding.wireshark_filter


def test_other_kinds_of_requests_make_it_only_possible_and_other_servers_do_not_count():
    other_command = Story(1).request(10_240, command="Sync").body(10_240).hello_request(10_240).client_hello()
    other_server = small(2)
    other_server.server = other_server.server._replace(address="10.20.0.21")
    finding = only(RULE, refused(), other_command.renegotiated().response(200), other_server)
    assert "Possible cause" in finding.detail
    assert "does so for other requests" in finding.detail
    assert "other requests" not in only(RULE, refused(), other_server).detail


def test_a_hello_request_in_the_same_request_confirms_the_late_certificate():
    story = Story().request(300_000).hello_request(0).body(65_536).response(413)
    assert "Confirmed cause: the server asks for the client certificate only after" in only(RULE, story).detail


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (
            Story().request(300_000).hello_request(0).client_hello().renegotiated().body(300_000).response(413),
            "handshake was complete before the 413",
        ),
        (
            Story().request(300_000).hello_request(0, outcome="full").client_hello().body(300_000).response(413),
            "asked for no certificate",
        ),
        (
            Story().request(300_000).body(300_000).hello_request(300_000).client_hello().response(413),
            "had the whole body before it asked",
        ),
        (Story().request(300_000).body(65_536).response(413).hello_request(65_536), "only after the 413"),
    ],
)
def test_a_renegotiation_that_did_not_block_the_request_points_to_another_limit(story, reason):
    finding = only(RULE, story, small())
    assert "Cause: another limit; " in finding.detail
    assert reason in finding.detail
    assert reason in finding.against[0]
    assert "clientcertnegotiation" not in cures(finding)


def test_a_handshake_that_ends_only_after_the_413_was_open_when_it_was_sent():
    story = Story().request(300_000).hello_request(0).client_hello().body(65_536).response(413).renegotiated()
    assert "Confirmed cause" in only(RULE, story).detail


def test_a_larger_request_that_passed_speaks_against_a_late_certificate_for_a_smaller_one():
    finding = only(RULE, refused(), small(1), small(2, 900_000))
    assert "Cause: not known" in finding.detail
    assert finding.against == ["A larger request of the same kind (900,000 bytes) was accepted."]
    assert "clientcertnegotiation" not in cures(finding)


def test_a_certificate_asked_in_the_first_handshake_points_to_another_limit():
    story = Story().first_handshake_asks(presented=True).request(300_000).body(300_000).response(413)
    finding = only(RULE, story)
    assert "Likely cause: another limit" in finding.detail
    assert "maxRequestLength" in cures(finding)
    assert "clientcertnegotiation" not in cures(finding)


def test_with_an_authorization_header_both_explanations_and_both_remedies_are_given():
    finding = only(RULE, refused(headers=[("authorization", "Basic (redacted)")]))
    assert "another size limit is equally likely" in finding.detail
    assert "clientcertnegotiation=enable" in cures(finding)
    assert "maxRequestLength" in cures(finding)


def test_a_small_body_with_an_authorization_header_points_to_another_limit():
    finding = only(RULE, refused(size=30_000, headers=[("authorization", "Basic (redacted)")]))
    assert "Likely cause: another limit" in finding.detail


def test_without_encryption_no_certificate_was_requested():
    story = refused()
    story.tls = None
    finding = only(RULE, story)
    assert "the connection is not encrypted" in finding.detail
    assert "clientcertnegotiation" not in cures(finding)


def test_an_authorization_header_makes_it_doubtful_where_smaller_requests_renegotiate():
    finding = only(RULE, refused(headers=[("authorization", "Basic (redacted)")]), small())
    assert "Likely cause: the server asks for the client certificate only after" in finding.detail
    assert finding.against == ["The request has an Authorization header: the server may not want a certificate for it."]


def test_a_proxy_by_its_server_header_is_named():
    story = Story().request(2_000_000).body(2_000_000).response(413, headers=[("server", "nginx/1.22.1")])
    finding = only(RULE, story)
    assert "the limit of a proxy in front (nginx" in finding.detail
    assert (finding.remedies[0].where, finding.remedies[0].commands) == ("nginx", ("client_max_body_size 10m;",))


def test_a_larger_request_that_passed_speaks_against_it():
    larger = Story(1).request(900_000).body(900_000).response(200)
    finding = only(RULE, refused(), larger)
    assert "Cause: not known" in finding.detail
    assert finding.against == ["A larger request of the same kind (900,000 bytes) was accepted."]


def test_a_tiny_refused_body_mentions_the_unit_of_the_setting():
    assert "a site set to 200, meant as KB" in only(RULE, refused(size=600)).detail


def test_a_chunked_body_is_at_least_as_large_as_was_seen():
    finding = only(RULE, refused(framing="chunked"))
    assert "at least 131,072 bytes (chunked, size not announced)" in finding.detail


def test_a_413_whose_request_is_not_in_the_capture_is_still_reported():
    story = refused()
    story.exchange.request = None
    assert "whose head was not captured" in only(RULE, story).detail


def test_other_refusals_are_not_request_too_large():
    assert rules(Story().request(900).body(900).response(404), Story(1).request(900).body(900).response(200)) == []


def test_the_finding_says_how_the_connection_ended():
    finding = only(RULE, refused().close("server-fin"))
    assert finding.evidence[-1].what == "the server closes the connection"


def test_apache_comes_first_where_apache_answers():
    story = Story().request(300_000).body(131_072).response(413, headers=[("server", "Apache/2.4.57 (Debian)")])
    assert only(RULE, story).remedies[0].where.startswith("Apache")


def test_apache_that_asked_first_may_still_buffer_for_a_stricter_location():
    story = Story().first_handshake_asks(presented=True).request(300_000).body(300_000)
    finding = only(RULE, story.response(413, headers=[("server", "Apache/2.4.57 (Debian)")]))
    assert "Likely cause: another limit" in finding.detail
    assert "SSLRenegBufferSize" in finding.detail
    assert "SSLRenegBufferSize" in cures(finding)
    assert "appcmd" not in cures(finding)


@pytest.mark.parametrize(
    ("server", "named", "unnamed"),
    [("Apache/2.4.57", "Apache reads", "IIS reads"), ("Microsoft-IIS/10.0", "IIS", "Apache")],
)
def test_only_the_limit_of_the_server_that_was_seen_is_named(server, named, unnamed):
    detail = only(RULE, Story().request(300_000).body(300_000).response(413, headers=[("server", server)])).detail
    assert named in detail
    assert unnamed not in detail


def test_no_remedy_is_given_twice():
    story = refused(headers=[("authorization", "Basic (redacted)")])
    found = only(RULE, story).remedies
    assert len(found) == len(set(found))


def test_missing_bytes_are_reported():
    assert "100 bytes towards the client are missing from the capture." in only(RULE, refused().gap(TO_CLIENT)).against


# ------------------------------------------------------------------------------- the decision, over all grounds


def grounds():
    """Every combination of grounds that a capture can give."""
    largest = small().exchange
    sizes = (0, 200, 49_152, 49_153, 131_072, 131_073, 40_000_000)
    flags = (False, True)
    for size, pending, settled, renegotiated, accepted, larger, elsewhere, first, encrypted, password, proxy in product(
        sizes,
        flags,
        (None, "it was so"),
        (None, largest),
        (None, 100),
        (None, 50_000_000),
        *[flags] * 4,
        (None, "nginx"),
    ):
        if not (pending and settled):
            yield Grounds(
                size, pending, settled, renegotiated, accepted, larger, elsewhere, first, encrypted, password, proxy
            )


def late_certificate(seen):
    """Whether a certificate that is asked for late is the best explanation, said a second time and differently."""
    if seen.pending:
        return True
    if seen.settled or seen.larger_accepted is not None:
        return False
    if seen.renegotiated:
        return True
    if not seen.encrypted or seen.asked_first or seen.proxy:
        return False
    return not seen.authorization or seen.size > 49_152


def test_the_remedies_follow_from_the_grounds_in_every_combination():
    for seen in grounds():
        verdict = request_too_large._judge(seen)
        late = late_certificate(seen)
        undecided = seen.authorization and not (seen.pending or seen.renegotiated or seen.asked_elsewhere)
        assert verdict.late_certificate == late
        assert verdict.other_limit == (not late or undecided)
        assert (request_too_large.LATE in verdict.words) == late


def test_only_an_open_request_confirms_a_late_certificate():
    for seen in grounds():
        assert request_too_large._judge(seen).words.startswith("Confirmed cause") == seen.pending


@pytest.mark.parametrize(
    ("accepted", "refused", "named"),
    [
        (49_152, 49_153, ["IIS"]),
        (0, 49_153, ["IIS"]),
        (49_151, 49_152, []),  # exactly the limit is let through
        (49_153, 131_073, ["Apache"]),
        (49_153, 131_072, []),
        (0, 131_073, ["IIS", "Apache"]),
        (131_072, 131_073, ["Apache"]),
        (131_073, 200_000, []),
    ],
)
def test_a_known_limit_is_named_where_it_lies_between_the_accepted_and_the_refused_size(accepted, refused, named):
    words = request_too_large._limit_between(accepted, refused)
    assert [product for product in ("IIS", "Apache") if f"{product} reads" in words] == named


@pytest.mark.parametrize(("refused", "said"), [(0, False), (1, True), (49_152, True), (49_153, False)])
def test_the_unit_of_the_setting_is_mentioned_for_bodies_below_the_default(refused, said):
    assert ("meant as KB" in request_too_large._limit_between(0, refused)) == said


@pytest.mark.parametrize(("accepted", "refused", "named"), [(49_152, 49_153, True), (40_000, 49_152, False)])
def test_the_iis_limit_is_named_in_a_finding_only_where_the_capture_brackets_it(accepted, refused, named):
    detail = only(RULE, refused_of(refused), small(1, accepted)).detail
    assert ("IIS reads 49,152 bytes ahead" in detail) == named
