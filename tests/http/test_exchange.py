"""An exchange: its identity, and what its messages say of themselves."""

from __future__ import annotations

from tests.http.talk import C, S, Talk, get, reply


def test_an_exchange_is_identified_by_its_connection_and_its_index_on_it():
    talk = Talk().say(C, get() * 2).say(S, reply() * 2)
    assert [exchange.key for exchange in talk.exchanges] == [(7, 0), (7, 1)]


def test_an_exchange_of_http1_has_no_stream():
    talk = Talk().say(C, get()).say(S, reply())
    assert [exchange.stream for exchange in talk.exchanges] == [None]
