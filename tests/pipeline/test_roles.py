"""Which end is the client where the SYN was not captured: what is said shows it, whatever the ports."""

from __future__ import annotations

import pytest

from easpcap import limits
from easpcap.pipeline.roles import RoleDetector, sender_by, turned
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End
from tests.pipeline.test_prologue import analyse, only
from tests.support.batches import Script
from tests.support.tls_peer import record_session

REQUEST = b"POST /Microsoft-Server-ActiveSync?Cmd=SendMail HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#: Client and server whose ports mislead: (client's port, server's port).
PORTS = {"both high": (40_001, 50_002), "the client lower": (80, 50_000), "the same": (9000, 9000)}
misleading = pytest.mark.parametrize("ports", PORTS.values(), ids=PORTS)
CLIENT_HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
SERVER_HELLO = b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"


def script(ports):
    return Script(client=("10.0.0.1", ports[0]), server=("10.0.0.2", ports[1]))


def ends(connection):
    return connection.client.address, connection.server.address


@misleading
@pytest.mark.parametrize("columnar", [True, False])
def test_a_request_comes_from_the_client(ports, columnar):
    talk = script(ports).put(1).send(0, REQUEST + b"body").put(1).send(1, RESPONSE).put(0).fin(1).fin(0)
    connection = only(analyse(talk.packets, columnar=columnar))
    assert ends(connection) == ("10.0.0.1", "10.0.0.2")
    (exchange,) = connection.exchanges
    assert (exchange.request.method, exchange.request.body_bytes, exchange.response.status) == ("POST", 4, 200)
    assert exchange.outcome == "completed"
    assert connection.payload_bytes == (len(REQUEST) + 4, len(RESPONSE))
    assert connection.closed_by == "server-fin"
    assert exchange.request.first.frame == 2


@misleading
def test_a_status_line_after_the_rest_of_a_body_shows_it_too(ports):
    talk = (
        script(ports)
        .send(0, b"the rest of a body")
        .put(1)
        .send(1, RESPONSE)
        .send(0, REQUEST + b"body")
        .send(1, RESPONSE)
    )
    connection = only(analyse(talk.packets))
    assert ends(connection) == ("10.0.0.1", "10.0.0.2")
    assert [exchange.outcome for exchange in connection.exchanges] == ["completed"] * 2


@misleading
def test_tls_is_decrypted_whatever_the_ports(ports):
    talk = script(ports).put(1)
    for direction, data in record_session().flights:
        talk.send(direction, data)
    connection = only(analyse(talk.packets))
    assert (connection.decryption.status, ends(connection)) == ("decrypted", ("10.0.0.1", "10.0.0.2"))
    assert connection.exchanges


def test_gaps_anomalies_and_facts_are_turned_too():
    talk = script((80, 50_000)).send(0, REQUEST + b"bo").put(1).send(0, b"dy").send(1, RESPONSE).put(0)
    talk.put(1, payload=b"xTTP", seq=talk.next[1] - len(RESPONSE)).put(0, window=0).fin(0).fin(1)
    del talk.packets[2]
    analysis = analyse(talk.packets)
    connection = only(analysis)
    assert (connection.gaps, connection.closed_by) == ((2, 0), "client-fin")
    assert [(fact.kind, fact.direction) for fact in connection.facts if fact.kind in {"zero-window", "fin"}] == [
        ("zero-window", TO_SERVER),
        ("fin", TO_SERVER),
        ("fin", TO_CLIENT),
    ]


def test_what_the_syn_says_is_not_doubted():
    talk = Script(client=("10.0.0.1", 80), server=("10.0.0.2", 50_000)).handshake().send(1, REQUEST + b"body").put(0)
    connection = only(analyse(talk.packets))
    assert (connection.roles_known_by, ends(connection)) == ("syn", ("10.0.0.1", "10.0.0.2"))


def test_without_any_message_the_guess_stands():
    connection = only(analyse(script((40_001, 443)).send(0, b"\xff" * 40).put(1).packets))
    assert (connection.roles_known_by, ends(connection)) == ("port", ("10.0.0.1", "10.0.0.2"))


@pytest.mark.parametrize(
    ("data", "direction"),
    [
        (CLIENT_HELLO, TO_SERVER),
        (SERVER_HELLO, TO_CLIENT),
        (REQUEST, TO_SERVER),
        (RESPONSE, TO_CLIENT),
        (CLIENT_HELLO[:5], None),
        (b"\x16\x03\x03\x00\x05\x0b\x00\x00\x01\x00", None),  # a Certificate: both sides send it
        (b"\x17\x03\x03\x00\x01\x01", None),
        (b"\x16\x09\x09\xff\xff\x01", None),
        (b"", None),
        (b"random", None),
    ],
)
def test_messages_that_only_one_side_sends(data, direction):
    assert sender_by(data) == direction


def test_what_is_held_is_bounded():
    roles, bytes_held = RoleDetector(), 0
    while not roles.feed(Data(TO_SERVER, bytes_held, b"\xff" * 100)):
        bytes_held += 100
    assert bytes_held <= limits.MAX_ROLE_BYTES
    assert len(roles.held) <= limits.MAX_ROLE_EVENTS


def test_a_connection_that_has_ended_is_not_held():
    roles = RoleDetector()
    assert not roles.feed(End(TO_SERVER, 0, "fin"))
    assert roles.feed(End(TO_CLIENT, 0, "fin"))
    assert turned(roles.held[0]) == End(TO_CLIENT, 0, "fin")
