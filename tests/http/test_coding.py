"""gzip and deflate are removed while a body passes: in any pieces, within limits, and with an honest end."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.http.body import BodyEnd
from easpcap.http.coding import codings, decode
from easpcap.http.exchange import Response
from easpcap.limits import MAX_BODY_CODINGS, MAX_DECODED_PIECE
from easpcap.stream import Position
from tests.http.talk import C, Recorder, S, Talk, chunked, get

WHOLE, CUT, DAMAGED = BodyEnd.WHOLE, BodyEnd.CUT, BodyEnd.DAMAGED
TEXT = b"All of this is content, all of this. " * 20


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODE = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "raw deflate": raw_deflate}


def response(*fields):
    nowhere = Position(1, 1, 0, None)
    return Response("HTTP/1.1", list(fields), 0, 100, nowhere, nowhere, "length", 10, status=200)


def coded(coding):
    return response(("content-encoding", coding))


def decoded(message, body, end=WHOLE, step=None, **options):
    """What a sink sees of a body that is decoded: its content and its end."""
    recorder = Recorder()
    sink = decode(message, recorder, **options)
    for at in range(0, len(body), step or len(body) or 1):
        if not sink.write(body[at : at + (step or len(body))]):
            return recorder.body, recorder.end
    sink.finish(end)
    return recorder.body, recorder.end


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.lists(st.sampled_from(sorted(CODE)), max_size=3), st.integers(1, 50))
def test_content_is_decoded_in_any_pieces(content, applied, step):
    body = content
    for coding in applied:
        body = CODE[coding](body)
    fields = [("content-encoding", coding.removeprefix("raw ")) for coding in applied]
    assert decoded(response(*fields), body, step=step) == (content, WHOLE)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CODE)), st.integers(1, 40), st.data())
def test_a_coded_body_that_stops_early_yields_the_beginning_of_its_content_and_is_cut(coding, step, data):
    whole = CODE[coding](TEXT)
    body = whole[: data.draw(st.integers(1, len(whole) - 1))]
    for end in (WHOLE, CUT):
        content, how = decoded(coded(coding.removeprefix("raw ")), body, end, step)
        assert TEXT.startswith(content)
        assert how is CUT
    assert decoded(coded(coding.removeprefix("raw ")), body, DAMAGED, step)[1] is DAMAGED


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=60), st.integers(0, 80), st.integers(1, 20))
def test_random_bytes_are_decoded_within_the_limit_and_end_once(coding, junk, at, step):
    body = CODE[coding](TEXT)
    body = body[:at] + junk + body[at:]
    whole, stepwise = (decoded(coded(coding), body, step=size, limit=500) for size in (None, step))
    assert whole == stepwise
    assert len(whole[0]) <= 500
    assert whole[1] in (WHOLE, CUT, DAMAGED)


def test_a_body_without_coding_goes_to_its_sink_directly():
    sink = Recorder()
    assert decode(response(), sink) is sink
    assert decode(coded("identity"), sink) is sink


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", ", ".join(["gzip"] * (MAX_BODY_CODINGS + 1))])
def test_a_body_with_an_unknown_coding_or_too_many_is_not_read(coding):
    assert decode(coded(coding), Recorder()) is None


def test_codings_are_listed_in_the_order_in_which_they_were_applied():
    message = response(
        ("transfer-encoding", "gzip, chunked"), ("content-encoding", " Deflate,"), ("content-encoding", "x-gzip")
    )
    assert codings(message) == ["deflate", "x-gzip", "gzip"]


def test_a_transfer_coding_under_chunked_is_removed_too():
    recorder = Recorder()

    def choose(exchange, message):
        return decode(message, recorder) if message is exchange.response else None

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    Talk(3, choose_sink=choose).say(C, get()).say(S, head + chunked(gzip.compress(TEXT)))
    assert (recorder.body, recorder.end) == (TEXT, WHOLE)


@pytest.mark.parametrize("step", [None, 1])
def test_gzip_may_have_several_members_and_what_follows_them_is_ignored(step):
    body = gzip.compress(b"one, ") + gzip.compress(b"two")
    assert decoded(coded("gzip"), body, step=step) == (b"one, two", WHOLE)
    for after in (b"\x1f", b"\0\0\0\0", b"junk" + gzip.compress(b"three")):
        assert decoded(coded("gzip"), body + after, step=step) == (b"one, two", WHOLE)


def test_an_empty_body_of_any_coding_is_empty_and_complete():
    assert decoded(coded("gzip"), b"") == (b"", WHOLE)


def test_a_broken_coding_damages_the_body_and_keeps_what_came_before():
    assert decoded(coded("gzip"), b"no gzip at all") == (b"", DAMAGED)
    body = bytearray(gzip.compress(TEXT))
    body[-8] ^= 1  # the checksum
    assert decoded(coded("gzip"), bytes(body), step=10) == (TEXT, DAMAGED)


@pytest.mark.parametrize(("limit", "end"), [(1_000_000, WHOLE), (999_999, CUT), (0, CUT)])
def test_content_is_cut_at_the_limit(limit, end):
    content, how = decoded(coded("gzip"), gzip.compress(bytes(1_000_000)), limit=limit)
    assert (len(content), how) == (limit, end)


def test_content_comes_in_pieces_of_bounded_size_however_far_it_expands():
    sizes = []

    class Sizes:
        def write(self, data):
            sizes.append(len(data))
            return True

        def finish(self, end):
            sizes.append(end)

    sink = decode(coded("gzip"), Sizes())
    sink.write(gzip.compress(bytes(10_000_000)))
    sink.finish(WHOLE)
    assert sizes.pop() is WHOLE
    assert sum(sizes) == 10_000_000
    assert max(sizes) == MAX_DECODED_PIECE


def test_a_sink_that_wants_no_more_ends_the_decoding():
    recorder = Recorder(enough=5)
    sink = decode(response(("content-encoding", "deflate"), ("content-encoding", "gzip")), recorder)
    assert sink.write(gzip.compress(zlib.compress(bytes(1_000_000)))) is False
    assert (len(recorder.body), recorder.end) == (MAX_DECODED_PIECE, None)
