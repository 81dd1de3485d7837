"""A difference is explained only where the connection shows that a limitation applies."""

from __future__ import annotations

from collections import Counter

import pytest

from easpcap.facts import HandshakeDone, TlsBegin
from easpcap.http.exchange import Exchange, Request, Response
from easpcap.results import Connection, Decryption, Fact, TlsSummary
from easpcap.stream import TO_CLIENT, TO_SERVER, Endpoint, Position
from easpcap.tls.handshake.verdict import Unsupported
from easpcap.verify.comparison import compare
from easpcap.verify.opinion import Opinion, StreamData, own_opinion

AT = Position(0, 1, 0, None)
TLS = TlsSummary("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", None, 1, None, None, None)
POST = ("POST", "/Microsoft-Server-ActiveSync")


def connection(*, tls=TLS, gaps=(0, 0), facts=(), exchanges=(), unsupported=None):
    return Connection(
        0, Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 443), "syn", AT, AT, 9, (9, 9), gaps, "open", tls,
        Decryption("decrypted", unsupported=unsupported),
        facts=[Fact(what, TO_SERVER, AT) for what in facts], exchanges=list(exchanges),
    )  # fmt: skip


def opinion(*, requests=(), statuses=(), data=((0, 0), (0, 0)), hellos=(1, 0), unread=(False, False)):
    """``data``: bytes and missing bytes by direction; equal sizes stand for equal bytes."""
    found = Opinion(client_hellos=hellos[0], hello_requests=hellos[1])
    found.requests, found.statuses = Counter(requests), Counter(statuses)
    found.data = tuple(StreamData(size, f"hash {size}", missing) for size, missing in data)
    found.unread_packets = list(unread)
    return found


def request(method, target, *, whole=True):
    return Request("", [], 0, 9, AT, AT, "length" if whole else "none", None, 0, None, 0, method, target)


def result(aspect, seen, own, other):
    """Result and limitations of one aspect."""
    found = {each.aspect: (each.result, *each.limitations) for each in compare(seen, own, other)}
    return found[aspect]


def data_result(direction, seen, mine, theirs, **options):
    """Result and limitations where one direction has ``mine`` bytes for easpcap and ``theirs`` for tshark."""
    sides = [[(5, 0), (5, 0)] for _ in range(2)]
    sides[0][direction], sides[1][direction] = mine, theirs
    aspect = ("data-to-server", "data-to-client")[direction]
    return result(aspect, seen, opinion(data=sides[0]), opinion(data=sides[1], **options))


# -- agreement ---------------------------------------------------------------------------------------------------------


def test_nothing_is_compared_where_neither_says_anything():
    assert list(compare(connection(), opinion(hellos=(0, 0)), opinion(hellos=(0, 0)))) == []


def test_equal_opinions_agree_in_every_aspect():
    said = {"requests": [POST], "statuses": [100, 200], "data": ((7, 0), (9, 0)), "hellos": (2, 1)}
    assert {each.result for each in compare(connection(), opinion(**said), opinion(**said))} == {"agreed"}


def test_equal_sizes_of_other_bytes_do_not_agree():
    own, other = opinion(data=((7, 0), (0, 0))), opinion(data=((7, 0), (0, 0)))
    other.data = (StreamData(7, "other bytes"), other.data[1])
    assert result("data-to-server", connection(), own, other) == ("unexplained",)


def test_another_connection_under_the_same_number_is_not_explained():
    other = opinion()
    other.data = None
    assert result("data-to-client", connection(), opinion(), other) == ("unexplained",)


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_data_that_only_one_decrypts_is_not_explained_without_a_cause(direction):
    assert data_result(direction, connection(), (5, 0), (3, 0)) == ("unexplained",)
    assert data_result(direction, connection(), (3, 0), (5, 0)) == ("unexplained",)


def test_records_after_lost_bytes_are_closed_to_tshark():
    seen = connection(gaps=(100, 0))
    assert data_result(TO_SERVER, seen, (5, 100), (3, 0)) == ("explained", "lost-bytes")
    assert data_result(TO_SERVER, seen, (3, 100), (5, 0)) == ("unexplained",)
    assert data_result(TO_CLIENT, seen, (5, 0), (3, 0)) == ("unexplained",)


def test_a_renegotiation_after_lost_bytes_closes_both_directions():
    own, other = opinion(data=((5, 9), (5, 0)), hellos=(2, 1)), opinion(data=((3, 0), (0, 0)), hellos=(1, 1))
    assert result("data-to-client", connection(gaps=(9, 0)), own, other) == ("explained", "lost-bytes")


def test_authentication_after_the_handshake_closes_what_the_client_sends():
    seen = connection(facts=[HandshakeDone(1, False, False, True, True)])
    assert data_result(TO_SERVER, seen, (5, 0), (3, 0)) == ("explained", "post-handshake-authentication")
    assert data_result(TO_CLIENT, seen, (5, 0), (3, 0)) == ("unexplained",)
    ordinary = connection(facts=[HandshakeDone(0, False, False, True)])
    assert data_result(TO_SERVER, ordinary, (5, 0), (3, 0)) == ("unexplained",)


def test_a_damaged_record_may_close_the_rest_to_tshark():
    own, other = opinion(data=((5, 0), (9, 0))), opinion(data=((3, 0), (9, 0)))
    own.anomalies = frozenset({"tls-bad-mac"})
    assert result("data-to-server", connection(), own, other) == ("explained", "damaged-record")
    assert result("data-to-server", connection(), other, own) == ("unexplained",)


def test_tls_after_clear_text_may_be_unknown_to_tshark():
    seen = connection(facts=[TlsBegin("SMTP STARTTLS")])
    assert data_result(TO_SERVER, seen, (5, 0), (0, 0), hellos=(0, 0)) == ("explained", "tls-after-clear-text")
    other = opinion()
    other.server_hellos = [("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA")]  # it did see the handshake
    assert result("data-to-server", seen, opinion(data=((5, 0), (0, 0))), other) == ("unexplained",)


def test_a_suite_that_only_tshark_supports():
    seen = connection(unsupported=Unsupported("suite", "TLS_RSA_WITH_ARIA_128_CBC_SHA256"))
    assert data_result(TO_SERVER, seen, (0, 0), (5, 0)) == ("explained", "unsupported-suite")


def test_a_segment_that_came_late_counts_as_missing_for_tshark():
    clear = connection(tls=None)
    assert data_result(TO_SERVER, clear, (11, 0), (8, 3)) == ("explained", "late-segment")
    assert data_result(TO_SERVER, clear, (11, 0), (8, 2)) == ("unexplained",)
    assert data_result(TO_SERVER, clear, (8, 3), (11, 0)) == ("unexplained",)


@pytest.mark.parametrize("code", ["tcp-out-of-window", "tcp-reset-ignored", "tcp-syn-ignored"])
def test_a_segment_that_the_receiver_ignored_explains_more_and_less(code):
    own, other = opinion(data=((5, 0), (9, 0))), opinion(data=((8, 0), (3, 0)))
    own.anomalies = frozenset({code})
    for aspect in ("data-to-server", "data-to-client"):
        assert result(aspect, connection(tls=None), own, other) == ("explained", "ignored-segment")


def test_zeros_that_tshark_takes_for_data():
    own, other = opinion(data=((5, 0), (9, 0))), opinion(data=((7, 0), (9, 0)))
    assert result("data-to-server", connection(tls=None), own, other) == ("unexplained",)
    other.padding = True
    assert result("data-to-server", connection(tls=None), own, other) == ("explained", "padding")


def test_packets_without_a_length_are_not_read_by_tshark():
    assert data_result(TO_SERVER, connection(tls=None), (5, 0), (3, 2), unread=(True, False)) == (
        "explained",
        "segmentation-offload",
    )
    assert data_result(TO_CLIENT, connection(tls=None), (5, 0), (3, 0), unread=(True, False)) == ("unexplained",)


# -- handshakes --------------------------------------------------------------------------------------------------------


def test_a_handshake_after_lost_bytes_may_be_hidden_from_tshark():
    own, other = opinion(hellos=(2, 1)), opinion(hellos=(1, 1))
    assert result("handshakes", connection(gaps=(0, 9)), own, other) == ("explained", "lost-bytes")
    assert result("handshakes", connection(gaps=(0, 9)), other, own) == ("unexplained",)
    assert result("handshakes", connection(), own, other) == ("unexplained",)


def test_another_suite_is_never_explained_by_lost_bytes():
    own, other = opinion(), opinion()
    own.server_hellos = [("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA")]
    other.server_hellos = [("TLS 1.2", "TLS_RSA_WITH_AES_256_CBC_SHA")]
    assert result("cipher-suites", connection(gaps=(9, 9)), own, other) == ("unexplained",)


# -- requests and statuses ---------------------------------------------------------------------------------------------


def requests_result(seen, mine, theirs):
    return result("requests", seen, opinion(requests=mine), opinion(requests=theirs))


def test_a_request_that_only_one_lists_is_not_explained_without_a_cause():
    seen = connection(exchanges=[Exchange(0, 0, request(*POST))])
    assert requests_result(seen, [POST], []) == ("unexplained",)
    assert requests_result(seen, [], [POST]) == ("unexplained",)


def test_a_request_with_half_a_head_is_not_listed_by_tshark():
    seen = connection(exchanges=[Exchange(0, 0, request(*POST, whole=False))])
    assert requests_result(seen, [POST], []) == ("explained", "incomplete-head")
    assert requests_result(seen, [POST, POST], []) == ("unexplained",)  # the other one has a whole head


def test_a_request_after_lost_bytes_is_not_found_by_tshark():
    clear = connection(tls=None, gaps=(9, 0))
    assert requests_result(clear, [POST], []) == ("explained", "lost-bytes")
    assert requests_result(clear, [], [POST]) == ("unexplained",)
    assert requests_result(connection(tls=None, gaps=(0, 9)), [POST], []) == ("unexplained",)


def test_a_target_with_a_blank_is_cut_by_tshark():
    seen = connection()
    assert requests_result(seen, [("GET", "/a%20b")], [("GET", "/a")]) == ("explained", "blank-in-target")
    assert requests_result(seen, [("GET", "/a%20b")], [("GET", "/c")]) == ("unexplained",)
    assert requests_result(seen, [("GET", "/a%20b")], [("PUT", "/a")]) == ("unexplained",)
    assert requests_result(seen, [("GET", "/a%20b"), POST], [("GET", "/a")]) == ("unexplained",)


def test_a_method_that_tshark_does_not_know():
    assert requests_result(connection(), [("BITS_POST", "/x")], []) == ("explained", "unknown-method")
    assert requests_result(connection(), [("BITS_POST", "/x"), POST], []) == ("unexplained",)


def test_requests_that_tshark_did_not_decrypt_are_explained_as_their_data():
    seen = connection(facts=[HandshakeDone(1, False, False, True, True)])
    own, other = opinion(requests=[POST], data=((9, 0), (0, 0))), opinion(data=((3, 0), (0, 0)))
    assert result("requests", seen, own, other) == ("explained", "post-handshake-authentication")


def test_statuses_follow_the_same_rules():
    half = Response("", [], 0, 9, AT, AT, "none", None, status=200)
    seen = connection(exchanges=[Exchange(0, 0, None, half)])
    assert result("statuses", seen, opinion(statuses=[200]), opinion()) == ("explained", "incomplete-head")
    assert result("statuses", seen, opinion(statuses=[413]), opinion()) == ("unexplained",)
    assert result("statuses", seen, opinion(), opinion(statuses=[200])) == ("unexplained",)
    clear = connection(tls=None, gaps=(0, 9))
    assert result("statuses", clear, opinion(statuses=[413]), opinion()) == ("explained", "lost-bytes")


# -- easpcap's own opinion ---------------------------------------------------------------------------------------------


def test_the_own_opinion_counts_interim_responses_and_hashes():
    from easpcap.http.exchange import Interim

    answered = Response("", [], 0, 9, AT, AT, "length", 0, status=200)
    seen = connection(exchanges=[Exchange(0, 0, request(*POST), answered, [Interim(100, AT)])], gaps=(3, 0))
    seen.digest = ((5, "aa"), (6, "bb"))
    found = own_opinion(seen)
    assert (found.requests, found.statuses) == (Counter([POST]), Counter([100, 200]))
    assert found.data == (StreamData(5, "aa", 3), StreamData(6, "bb", 0))
