"""What a TLS session says about bytes that the capture lacks, where handshakes and changes of keys are among them."""

from __future__ import annotations

import pytest

from easpcap.limits import MAX_LOST_KEY_UPDATES
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, Gap
from easpcap.tls.session.session import SessionCache, TlsSession
from easpcap.tls.suites.suite import suite
from tests.support.tls13_script import LABELS, Tls13Script
from tests.support.tls_runs import SERVER, ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript

HEADER = 5


def read13(script, lost):
    return run(script.flights, ring_with_log(script.key_log()), lost=lost)


def lines(count, letter):
    return [letter * 100 for _ in range(count)]


# -- up to TLS 1.2 ----------------------------------------------------------------------------------------------------


def test_after_a_gap_in_a_split_handshake_message_the_next_message_is_read_by_itself():
    script = TlsScript()
    script.fragment_size = 400  # the Certificate needs two records
    script.full(ask_certificate=True)
    hello, certificate, *_ = [flight for direction, flight in script.flights if direction == TO_CLIENT]
    assert 400 + HEADER < len(certificate) < 2 * (400 + HEADER)
    end = len(hello) + len(certificate)
    outcome = run(script.flights, lost=(TO_CLIENT, len(hello) + 400 + HEADER, end))
    assert outcome.kinds[:4] == ["client-hello", "server-hello", "certificate-request", "client-certificate"]
    asked = outcome.seen[2]
    assert (asked.direction, asked.offset) == (TO_CLIENT, end)
    assert outcome.codes == []


@pytest.mark.parametrize("lost_records", [1, 2])
def test_a_gap_during_a_renegotiation_may_hold_no_data_at_all(lost_records):
    """The lost records may have been messages of the handshake. With GCM the length would else be exact."""
    script = TlsScript(suite_value=0x009C)
    script.full()
    script.data(TO_SERVER, b"before")
    steps = script.full_steps()
    next(steps)  # the ClientHello of the renegotiation
    start = script.offsets[TO_SERVER]
    for line in lines(lost_records, b"l"):
        script.data(TO_SERVER, line)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"after")
    for _ in steps:
        pass
    (gap,) = run(script.flights, lost=(TO_SERVER, start, stop)).gaps
    assert (gap.offset, gap.length, gap.most) == (len(b"before"), 0, 100 * lost_records)


def test_a_gap_outside_of_a_renegotiation_has_its_least_length():
    script = TlsScript(suite_value=0x009C)  # GCM: no padding, so that both bounds are exact
    script.full()
    script.data(TO_SERVER, b"before")
    start = script.data(TO_SERVER, b"l" * 100)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"after")
    (gap,) = run(script.flights, lost=(TO_SERVER, start, stop)).gaps
    assert (gap.offset, gap.length, gap.most) == (6, 100, 100)


@pytest.mark.parametrize(("value", "most"), [(0x002F, 100), (0x009C, 107)], ids=["gcm", "cbc"])
def test_a_gap_in_a_renegotiation_is_measured_by_the_suite_that_is_in_use(value, most):
    """``value``: the suite that comes with the next ChangeCipherSpec.

    CBC hides how much padding there was: only the IV, the MAC and one byte of each record are known to be no data.
    """
    script = TlsScript(suite_value=0x009C if value == 0x002F else 0x002F).full()
    script.suite = suite(value)
    steps = script.full_steps()
    assert (next(steps), next(steps)) == ("client-hello", "server-flight")
    script.data(TO_SERVER, b"before")
    start = script.data(TO_SERVER, b"l" * 100)
    stop = script.data(TO_SERVER, b"after")
    (gap,) = run(script.flights, lost=(TO_SERVER, start, stop)).gaps
    assert (gap.offset, gap.length, gap.most) == (6, 0, most)


@pytest.mark.parametrize("renegotiated", [0x002F, 0x0005])
def test_a_record_whose_first_block_nothing_proves_is_not_used_in_a_renegotiation_either(renegotiated):
    """With TLS 1.0 and RFC 7366 that is the first one after a gap, whatever suite comes next."""
    script = TlsScript(0x0301, encrypt_then_mac=True).full()
    script.suite, script.encrypt_then_mac = suite(renegotiated), renegotiated == 0x002F
    steps = script.full_steps()
    assert (next(steps), next(steps)) == ("client-hello", "server-flight")
    script.data(TO_SERVER, b"before")
    start = script.data(TO_SERVER, b"lost")
    stop = script.data(TO_SERVER, b"the context of the next one" * 2)
    script.data(TO_SERVER, b"not proven")
    script.data(TO_SERVER, b"proven")
    outcome = run(script.flights, lost=(TO_SERVER, start, stop))
    assert outcome.plaintext[TO_SERVER] == b"beforeproven"


# -- TLS 1.3 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_gap_over_a_change_of_keys_has_no_least_length_and_the_right_most(direction):
    script = Tls13Script().handshake()
    script.data(direction, b"before")
    start = script.data(direction, b"x" * 300)
    script.key_update(direction)
    script.data(direction, b"y" * 200)
    stop = script.offsets[direction]
    script.data(direction, b"after")
    outcome = read13(script, (direction, start, stop))
    (gap,) = outcome.gaps
    # The KeyUpdate and one record of the new epoch are known to be lost: two headers, tags and types and five bytes of
    # the message are no data. Nobody knows what else was lost: data of the old epoch, or other messages.
    assert (gap.offset, gap.length, gap.most) == (6, 0, stop - start - 2 * (HEADER + 16 + 1) - 5)
    assert outcome.plaintext[direction] == b"beforeafter"


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_hidden_finished_and_key_update_and_then_more_hidden_key_updates_are_recovered(direction):
    script = Tls13Script().client_hello().server_hello()
    if direction == TO_SERVER:
        script.server_flight()
    start = script.offsets[direction]
    if direction == TO_CLIENT:
        script.server_flight()
    script.client_flight()
    script.key_update(direction)
    losses = [(direction, start, script.offsets[direction])]
    script.data(direction, b"2")
    for generation in range(3, MAX_LOST_KEY_UPDATES + 4):  # one after the other, they may be more than in one gap
        start = script.key_update(direction)
        losses.append((direction, start, script.offsets[direction]))
        script.data(direction, b"%d" % generation)
    outcome = read13(script, losses)
    assert outcome.plaintext[direction] == bytes(script.plaintext[direction])
    assert "tls-lost" not in outcome.codes


@pytest.mark.parametrize("lost_data", [0, 300])
def test_lost_records_of_the_handshake_hold_no_application_data(lost_data):
    script = Tls13Script().client_hello().server_hello().server_flight()
    start = script.offsets[TO_SERVER]
    script.client_flight()
    if lost_data:
        script.data(TO_SERVER, b"l" * lost_data)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"request")
    outcome = read13(script, (TO_SERVER, start, stop))
    assert outcome.plaintext[TO_SERVER] == b"request"
    if not lost_data:  # the first record of the epoch was captured: no application data can be missing
        assert outcome.gaps == []
    else:
        (gap,) = outcome.gaps
        assert (gap.offset, gap.length) == (0, 0)
        assert lost_data <= gap.most < stop - start


def test_after_a_lost_key_update_the_next_update_follows_from_the_new_keys():
    script = Tls13Script().handshake()
    start = script.key_update(TO_SERVER)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"one ")
    script.key_update(TO_SERVER)
    script.data(TO_SERVER, b"two")
    assert read13(script, (TO_SERVER, start, stop)).plaintext[TO_SERVER] == b"one two"


def test_without_the_handshake_secret_a_lost_finished_does_not_matter():
    script = Tls13Script().client_hello().server_hello().server_flight()
    start = script.offsets[TO_SERVER]
    script.client_flight()
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"request")
    log = ring_with_log(script.key_log(LABELS[TO_SERVER][0]))
    assert run(script.flights, log, lost=(TO_SERVER, start, stop)).plaintext[TO_SERVER] == b"request"


# -- what is not known yet ---------------------------------------------------------------------------------------------


def test_lost_bytes_are_hidden_until_the_next_record_opens():
    script = TlsScript().full()
    begin = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"l" * 100)
    end = script.offsets[TO_SERVER]
    (_, last) = script.flights[-1]
    session, offsets = TlsSession(ring_with_key(), SessionCache(), SERVER), [0, 0]
    for direction, flight in script.flights[:-1]:
        session.feed(Data(direction, offsets[direction], flight))
        offsets[direction] += len(flight)
    assert session.hidden_bytes(TO_SERVER) == 0
    session.feed(Gap(TO_SERVER, begin, 60, 60))
    assert session.hidden_bytes(TO_SERVER) == 60
    session.feed(Data(TO_SERVER, begin + 60, last[60:]))
    assert session.hidden_bytes(TO_SERVER) == end - begin
    script.data(TO_SERVER, b"more")
    session.feed(Data(TO_SERVER, end, script.flights[-1][1]))
    assert session.hidden_bytes(TO_SERVER) == 0
    assert session.hidden_bytes(TO_CLIENT) == 0
