"""Small sessions of every kind with any byte changed, or cut anywhere: nothing raises, no false plaintext comes out.

Exhaustive, not random: every byte of every protected record. What a MAC or tag covers is always noticed.
"""

from __future__ import annotations

from functools import cache

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER, Data
from tests.support.tls_runs import altered, ring_with_log, run
from tests.support.tls_script import TlsScript

HEADER = 5
HANDSHAKE, APPLICATION_DATA = 22, 23

# (version, suite, encrypt then MAC): every way to protect a record
KINDS = [
    (0x0300, 0x0004, False), (0x0300, 0x000A, False), (0x0300, 0x0003, False), (0x0300, 0x0002, False),
    (0x0301, 0x0005, False), (0x0301, 0x002F, False), (0x0301, 0x002F, True), (0x0301, 0x0006, False),
    (0x0302, 0x0035, False), (0x0303, 0x003C, False), (0x0303, 0x003C, True), (0x0303, 0x009C, False),
    (0x0303, 0xC09C, False), (0x0303, 0xC0A0, False), (0x0303, 0xCCA8, False), (0x0303, 0x003B, False),
]  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]:x}-{kind[1]:04x}{'-etm' * kind[2]}")

SENT = b"what the client says", b"and again, a little longer than before", b"the last words"


class Recorded:
    """The streams of a session, with the place of every record: (direction, start, end, content type)."""

    def __init__(self, kind):
        version, value, encrypt_then_mac = kind
        script = TlsScript(version, value, encrypt_then_mac=encrypt_then_mac, extended_master=version > 0x0300).full()
        for data in SENT:
            script.data(TO_SERVER, data)
        script.data(TO_CLIENT, b"the answer")
        self.script, self.flights = script, script.flights
        self.keyring = ring_with_log(script.key_log)
        self.plaintext = tuple(map(bytes, script.plaintext))
        self.records = []
        offsets = [0, 0]
        for direction, flight in script.flights:
            at = 0
            while at < len(flight):
                size = HEADER + int.from_bytes(flight[at + 3 : at + 5], "big")
                start = offsets[direction] + at
                self.records.append((direction, start, start + size, flight[at]))
                at += size
            offsets[direction] += len(flight)

    def changed(self, direction, at, mask):
        return altered(self.flights, direction, at, mask)


@cache
def recorded(kind):
    return Recorded(kind)


def true_pieces(session, outcome):
    """Whether all plaintext is made of pieces of what was written, in their order."""
    at = [0, 0]
    for event in outcome.of(Data):
        found = session.plaintext[event.direction].find(event.data, at[event.direction])
        if found < 0:
            return False
        at[event.direction] = found + len(event.data)
    return True


def beyond_the_mac(kind, record, at):
    """Whether SSL 3.0 does not protect a byte: the version of a record, or its padding except the length byte.

    RFC 6101 section 5.2.3.1 leaves the version out of the MAC, section 5.2.3.2 the padding. In CBC a byte of the
    last block but one changes a byte of padding and garbles its own block, which the MAC covers.
    """
    _, start, end, _ = record
    if kind[0] > 0x0300:
        return False
    last_block = kind[1] == 0x000A and at >= end - 8
    return at - start in (1, 2) or last_block


@kinds
def test_a_changed_byte_of_application_data_is_always_noticed(kind):
    session = recorded(kind)
    for record in session.records:
        direction, start, end, content_type = record
        if content_type != APPLICATION_DATA:
            continue
        for at in range(start, end):
            if beyond_the_mac(kind, record, at):
                continue
            outcome = run(session.changed(direction, at, 0x01), session.keyring)
            assert true_pieces(session, outcome)
            assert outcome.plaintext != session.plaintext
            if at >= start + HEADER:
                assert "tls-bad-mac" in outcome.codes
                assert outcome.verdict(log=True, keys=False)[:2] == ("partial", "mac-failure")
            else:
                assert outcome.codes or outcome.gaps or outcome.verdict(log=True, keys=False)[0] != "decrypted"


@kinds
def test_a_changed_byte_of_a_finished_is_always_noticed(kind):
    session = recorded(kind)
    finished = [record for record in session.records if record[3] == HANDSHAKE][-2:]
    for record in finished:
        direction, start, end, _ = record
        for at in range(start + HEADER, end):
            if beyond_the_mac(kind, record, at):
                continue
            outcome = run(session.changed(direction, at, 0x10), session.keyring)
            assert true_pieces(session, outcome)
            reason = outcome.verdict(log=True, keys=False)[1]
            assert "tls-bad-mac" in outcome.codes or reason == "mac-failure"
            if kind[0] > 0x0301:  # before, records are one chain: what is wrong at the end of one spoils the next
                assert outcome.plaintext == session.plaintext


@kinds
def test_what_ssl_3_does_not_protect_changes_no_plaintext(kind):
    session = recorded(kind)
    for record in session.records:
        direction, start, end, content_type = record
        for at in range(start + HEADER, end):
            if content_type == APPLICATION_DATA and beyond_the_mac(kind, record, at):
                assert true_pieces(session, run(session.changed(direction, at, 0x01), session.keyring))


@pytest.mark.parametrize("kind", [KINDS[1], KINDS[6], KINDS[11]], ids=["ssl3", "tls10-etm", "gcm"])
def test_a_changed_byte_in_a_handshake_never_raises_and_gives_no_false_plaintext(kind):
    session = recorded(kind)
    before = max(end for direction, _, end, content_type in session.records if content_type == HANDSHAKE)
    certificate = range(150, before, 7)  # most bytes are of the certificate, of which few mean anything here
    for direction in (TO_SERVER, TO_CLIENT):
        for at in {*range(150), *certificate}:
            for mask in (0x01, 0x40, 0xFF):
                assert true_pieces(session, run(session.changed(direction, at, mask), session.keyring))


@kinds
def test_a_session_cut_at_any_byte_never_raises_and_gives_no_false_plaintext(kind):
    session = recorded(kind)
    sizes = [len(flight) for _, flight in session.flights]
    total = sum(sizes)
    protected = sum(sizes[:-6])  # the hellos and the certificate: every seventh byte is enough
    for cut in [*range(0, protected, 7), *range(protected, total)]:
        flights, left = [], cut
        for direction, flight in session.flights:
            flights.append((direction, flight[: max(left, 0)]))
            left -= len(flight)
        outcome = run(flights, session.keyring, cause="capture-end")
        for direction in (TO_SERVER, TO_CLIENT):
            assert session.plaintext[direction].startswith(outcome.plaintext[direction])
        assert "tls-bad-mac" not in outcome.codes


@kinds
def test_records_may_be_lost_repeated_or_swapped(kind):
    """The sequence number is in every MAC: a record out of its place does not open there."""
    session = recorded(kind)
    flights = session.flights
    places = [number for number, (way, flight) in enumerate(flights) if way == TO_SERVER and flight[0] == 23]
    first, second, third = places
    swapped = list(flights)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    repeated = [*flights[: second + 1], flights[second], *flights[second + 1 :]]
    lost = [*flights[:second], *flights[second + 1 :]]
    for changed in (swapped, repeated, lost):
        outcome = run(changed, session.keyring)
        assert true_pieces(session, outcome)
        assert "tls-bad-mac" in outcome.codes
    assert run(flights[: third + 1], session.keyring).plaintext[TO_SERVER] == session.plaintext[TO_SERVER]
