"""What is kept of an exchange: the header fields that something reads, and one copy of equal values."""

from __future__ import annotations

from easpcap.http.exchange import Exchange, Request, Response
from easpcap.pipeline.compact import KEPT_HEADERS, ExchangeCompactor
from easpcap.stream import Position

HERE = Position(0, 1, 0, None)


def exchange(*, target="/", request=(), response=()):
    asked = Request("HTTP/1.1", list(request), 0, 0, HERE, HERE, "none", None, method="GET", target=target)
    answered = Response("HTTP/1.1", list(response), 0, 0, HERE, HERE, "none", None, status=200)
    return Exchange(1, 0, asked, answered)


def test_fields_that_nothing_reads_are_removed_from_both_messages():
    one = exchange(request=[("host", "a"), ("cookie", "b")], response=[("server", "c"), ("set-cookie", "d")])
    ExchangeCompactor().compact(one)
    assert one.request.headers == (("host", "a"),)
    assert one.response.headers == (("server", "c"),)
    assert "authorization" in KEPT_HEADERS


def test_equal_headers_and_targets_are_kept_once():
    first, second = (exchange(target="".join(["/ms", "/as"]), request=[("host", "a")]) for _ in range(2))
    compactor = ExchangeCompactor()
    for each in (first, second):
        compactor.compact(each)
    assert first.request.headers is second.request.headers
    assert first.request.target is second.request.target


def test_the_number_of_shared_values_is_bounded():
    compactor = ExchangeCompactor(limit=3)
    for number in range(100):
        one = exchange(target=f"/{number}", request=[("host", str(number))])
        compactor.compact(one)
        assert one.request.target == f"/{number}"
        assert one.request.headers == (("host", str(number)),)
        assert compactor.shared <= 2 * 3
