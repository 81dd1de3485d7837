"""The table of handshake states: which sequences of messages it allows."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT as C
from easpcap.stream import TO_SERVER as S
from easpcap.tls import codepoints as cp
from easpcap.tls.handshake.states import CHANGE_CIPHER_SPEC as CCS
from easpcap.tls.handshake.states import RESUMING, TRANSITIONS, State

FULL = [
    (S, cp.CLIENT_HELLO),
    (C, cp.SERVER_HELLO),
    (C, cp.CERTIFICATE),
    (C, cp.CERTIFICATE_REQUEST),
    (C, cp.SERVER_HELLO_DONE),
    (S, cp.CERTIFICATE),
    (S, cp.CLIENT_KEY_EXCHANGE),
    (S, cp.CERTIFICATE_VERIFY),
    (S, CCS),
    (S, cp.FINISHED),
    (C, cp.NEW_SESSION_TICKET),
    (C, CCS),
    (C, cp.FINISHED),
]
ABBREVIATED = [
    (S, cp.CLIENT_HELLO),
    (C, cp.SERVER_HELLO),
    (C, cp.NEW_SESSION_TICKET),
    (C, CCS),
    (C, cp.FINISHED),
    (S, CCS),
    (S, cp.FINISHED),
]


def follow(messages, state=State.START):
    path = [state]
    for direction, message in messages:
        path.append(TRANSITIONS[path[-1], direction, message])
    return path


@pytest.mark.parametrize("start", [State.START, State.ESTABLISHED])
@pytest.mark.parametrize("messages", [FULL, ABBREVIATED])
def test_both_forms_lead_to_an_established_connection_from_the_start_and_again(start, messages):
    assert follow(messages, start)[-1] is State.ESTABLISHED


@pytest.mark.parametrize(
    "optional", [(C, cp.CERTIFICATE_REQUEST), (C, cp.NEW_SESSION_TICKET), (S, cp.CERTIFICATE_VERIFY)]
)
def test_optional_messages_may_be_missing(optional):
    assert follow([step for step in FULL if step != optional])[-1] is State.ESTABLISHED


def test_only_an_abbreviated_handshake_goes_through_a_resuming_state():
    assert not RESUMING.intersection(follow(FULL))
    assert RESUMING.intersection(follow(ABBREVIATED))
    assert RESUMING.intersection(follow([step for step in ABBREVIATED if step[1] != cp.NEW_SESSION_TICKET]))


@pytest.mark.parametrize("state", list(State))
def test_a_hello_request_changes_nothing(state):
    assert TRANSITIONS[state, C, cp.HELLO_REQUEST] is state


def test_no_message_is_allowed_in_the_wrong_direction():
    assert all(
        (state, 1 - direction, message) not in TRANSITIONS for state in [State.START] for direction, message in FULL[:1]
    )
    assert (State.CLIENT_CHANGED, C, cp.FINISHED) not in TRANSITIONS
    assert (State.SERVER_CHANGED, S, cp.FINISHED) not in TRANSITIONS


def test_every_state_can_be_reached_and_left():
    reached = {State.START, State.TLS13, *TRANSITIONS.values()}
    left = {state for (state, _, message) in TRANSITIONS if message != cp.HELLO_REQUEST}
    assert reached == left == set(State)
