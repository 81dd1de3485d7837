"""Every rule of Endings.judge by itself: who closed, in which order, and what there is of a response."""

from __future__ import annotations

import pytest

from easpcap.http.exchange import Exchange, Response
from easpcap.http.outcome import Closing, Endings
from easpcap.stream import TO_CLIENT, TO_SERVER, Position

RESPONSE_AT = 1000


def place(frame):
    return Position(frame, frame, 0, None)


def response(*, complete=True, missing=0):
    end = RESPONSE_AT + 50 if complete else None
    message = Response("HTTP/1.1", [], RESPONSE_AT, RESPONSE_AT + 20, place(1), place(2), "length", 30, end_offset=end)
    message.missing = missing
    return message


def judged(*closings, answer=None, lost=False, gap=False):
    """Outcome of an exchange after ``closings``: (direction, cause, how far the server's stream had been read)."""
    endings = Endings()
    for number, (direction, cause, read_to) in enumerate(closings):
        endings.add(Closing(direction, cause, place(10 + number)), read_to)
    exchange = Exchange(1, 0, response=answer, gap_before_response=gap)
    endings.judge(exchange, lost=lost)
    return exchange.outcome, exchange.ended_by, exchange.ended and exchange.ended.frame, exchange.too_late


def test_an_exchange_that_neither_side_ended_is_open():
    assert judged() == ("open", "", None, False)
    assert judged(answer=response(complete=False)) == ("open", "", None, False)


def test_the_side_that_closed_first_abandoned_an_exchange_without_a_response():
    client, server = (TO_SERVER, "fin", 0), (TO_CLIENT, "alert", 0)
    assert judged(client, server) == ("abandoned-by-client", "client-fin", 10, False)
    assert judged(server, client) == ("abandoned-by-server", "server-alert", 10, False)


def test_the_first_sign_of_a_side_names_its_cause():
    assert judged((TO_CLIENT, "close-notify", 0), (TO_CLIENT, "rst", 0))[1] == "server-close-notify"


def test_half_a_response_that_began_in_time_was_abandoned_by_the_side_that_closed_first():
    half = response(complete=False)
    assert judged((TO_SERVER, "rst", RESPONSE_AT + 1), answer=half)[:2] == ("abandoned-by-client", "client-rst")
    assert judged((TO_CLIENT, "fin", RESPONSE_AT + 1), answer=half)[:2] == ("abandoned-by-server", "server-fin")


def test_a_late_response_is_accepted_by_a_client_that_only_half_closed():
    assert judged((TO_SERVER, "fin", RESPONSE_AT), answer=response()) == ("completed", "", None, False)


@pytest.mark.parametrize("complete", [True, False])
def test_a_late_response_that_the_client_resets_was_too_late(complete):
    closings = (TO_SERVER, "fin", RESPONSE_AT), (TO_SERVER, "rst", RESPONSE_AT + 50)
    assert judged(*closings, answer=response(complete=complete)) == ("abandoned-by-client", "client-fin", 10, True)


def test_a_reset_by_the_server_does_not_make_a_response_too_late():
    closings = (TO_SERVER, "fin", RESPONSE_AT), (TO_CLIENT, "rst", RESPONSE_AT + 50)
    assert judged(*closings, answer=response()) == ("completed", "", None, False)


def test_half_a_late_response_was_abandoned_by_the_server_although_the_client_closed_first():
    half = response(complete=False)
    assert judged((TO_SERVER, "fin", RESPONSE_AT), (TO_CLIENT, "rst", 0), answer=half)[:2] == (
        "abandoned-by-server",
        "server-rst",
    )
    assert judged((TO_SERVER, "fin", RESPONSE_AT), answer=half)[0] == "open"


def test_a_response_is_late_from_the_offset_at_which_the_client_first_closed():
    in_time = (TO_SERVER, "rst", RESPONSE_AT + 1)
    assert judged(in_time, answer=response()) == ("completed", "", None, False)
    later_sign = (TO_SERVER, "fin", RESPONSE_AT + 1), (TO_SERVER, "rst", 0)
    assert judged(*later_sign, answer=response())[3] is False, "only the first sign counts"


def test_missing_bytes_interrupt_an_exchange_and_neither_side_is_named():
    closed = (TO_CLIENT, "rst", 0)
    assert judged(closed, lost=True) == ("interrupted", "", None, False)
    assert judged(closed, gap=True) == ("interrupted", "", None, False)
    assert judged(closed, answer=response(missing=1)) == ("interrupted", "", None, False)


def test_a_gap_elsewhere_does_not_interrupt_a_response_that_was_seen():
    assert judged(answer=response(), lost=True, gap=True)[0] == "completed"
