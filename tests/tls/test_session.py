"""A whole TLS connection: ciphertext in, plaintext and facts out, whatever happens on the way."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easpcap.facts import HandshakeDone
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, End, Gap
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.session.session import Records, Seen, SessionCache, TlsSession
from tests.support.tls_peer import record_session, record_tlslite
from tests.support.tls_runs import Damage, damages, flipped, pieces, ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript

LINES = b"".join(b"line %05d of a body that never repeats\r\n" % number for number in range(400))


def lines(start, stop):
    return LINES[start * 40 : stop * 40]


# -- what real peers say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303])
@pytest.mark.parametrize("extended", [True, False])
@pytest.mark.parametrize("etm", [True, False])
def test_the_private_key_decrypts_openssl_with_rsa_key_exchange(version, extended, etm):
    recording = record_session(version, "AES256-SHA", extended_master_secret=extended, encrypt_then_mac=etm)
    outcome = run(recording.flights)
    assert outcome.plaintext == recording.plaintext
    assert (outcome.session.version, outcome.session.suite.name) == (version, "TLS_RSA_WITH_AES_256_CBC_SHA")
    assert outcome.session.key_sources == {0}
    assert outcome.verdict() == ("decrypted", None)
    assert outcome.codes == []


@pytest.mark.parametrize(
    "ciphers", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES128-CCM8", "NULL-SHA256"]
)
def test_the_suites_of_tls12_are_decrypted(ciphers):
    recording = record_session(0x0303, ciphers)
    assert run(recording.flights).plaintext == recording.plaintext


@pytest.mark.parametrize(
    ("version", "cipher", "mac"), [(0x0300, "rc4", "md5"), (0x0300, "3des", "sha"), (0x0301, "rc4", "sha")]
)
def test_suites_that_openssl_dropped_are_decrypted(version, cipher, mac):
    recording = record_tlslite(version, cipher, mac)
    outcome = run(recording.flights)
    assert outcome.plaintext == recording.plaintext
    done = next(fact for fact in outcome.seen if fact.kind == "handshake-done")
    assert done.what.verified


def test_a_key_log_decrypts_an_ephemeral_key_exchange():
    recording = record_session(0x0303, "ECDHE-RSA-AES256-GCM-SHA384")
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    assert outcome.plaintext == recording.plaintext


def test_a_full_handshake_gives_its_facts_in_order():
    outcome = run(record_session(client_certificate=True).flights)
    assert outcome.kinds == [
        "client-hello",
        "server-hello",
        "certificate",
        "certificate-request",
        "client-certificate",
        "client-key-exchange",
        "change-cipher-spec",
        "change-cipher-spec",
        "handshake-done",
        "close-notify",
        "close-notify",
    ]
    session = outcome.session
    assert session.server_name == "mail.example.test"
    assert (session.certificate_requested, session.certificate_presented) == ("first-handshake", True)
    assert [end.cause for end in outcome.ends] == ["close-notify", "close-notify"]
    assert outcome.seen[8].what == HandshakeDone(0, abbreviated=False, renegotiation=False, verified=True)


def test_a_null_suite_is_read_without_any_key():
    recording = record_session(0x0303, "NULL-SHA")
    outcome = run(recording.flights, KeyRing())
    assert outcome.plaintext == recording.plaintext
    assert outcome.verdict(keys=False)[0] == "decrypted"
    assert outcome.session.key_sources == set()


# -- renegotiation ---------------------------------------------------------------------------------------------------

SUITES = {"CBC": 0x002F, "GCM": 0x009C, "RC4": 0x0005}


@cache
def renegotiated(version=0x0303, suite="CBC", *, etm=False, extended=False):
    """A POST, HelloRequest in its middle, a full renegotiation with a certificate, then an abbreviated one."""
    script = TlsScript(version, SUITES[suite], encrypt_then_mac=etm, extended_master=extended)
    script.full(session_id=b"s" * 32)
    script.data(TO_SERVER, lines(0, 3))
    script.hello_request()
    script.data(TO_SERVER, lines(3, 5))  # under way when the request came
    steps = script.full_steps(ask_certificate=True, session_id=b"t" * 32)
    for number, step in enumerate(steps):
        if step in ("client-hello", "server-flight"):
            script.data(TO_SERVER, lines(5 + number, 6 + number))
        if step == "client-finished":  # the client writes under the new keys, the server still under the old
            script.data(TO_CLIENT, b"HTTP/1.1 100 Continue\r\n\r\n")
            script.data(TO_SERVER, lines(7, 8))
    for step in script.abbreviated_steps(script.master, session_id=b"t" * 32):
        if step == "server-finished":
            script.data(TO_CLIENT, b"HTTP/1.1 200 OK\r\n")
            script.data(TO_SERVER, lines(8, 10))
    script.data(TO_CLIENT, b"\r\n")
    script.close()
    return script


SAFER = {"etm": True, "extended": True}
EPOCHS = [(version, suite, {}) for version in (0x0300, 0x0301, 0x0302, 0x0303) for suite in ("CBC", "RC4")]
EPOCHS += [(version, "CBC", SAFER) for version in (0x0301, 0x0302, 0x0303)]
EPOCHS += [(0x0303, "GCM", {}), (0x0303, "GCM", SAFER)]


@pytest.mark.parametrize(("version", "suite", "options"), EPOCHS)
def test_a_body_may_span_three_epochs(version, suite, options):
    script = renegotiated(version, suite, **options)
    outcome = run(script.flights)
    assert outcome.plaintext == (lines(0, 10), bytes(script.plaintext[TO_CLIENT]))
    assert outcome.codes == []
    assert [fact.what for fact in outcome.seen if fact.kind == "handshake-done"] == [
        HandshakeDone(0, abbreviated=False, renegotiation=False, verified=True),
        HandshakeDone(1, abbreviated=False, renegotiation=True, verified=True),
        HandshakeDone(2, abbreviated=True, renegotiation=True, verified=True),
    ]
    assert outcome.session.handshakes == 3
    assert (outcome.session.certificate_requested, outcome.session.certificate_presented) == ("later", True)
    assert outcome.session.resumed is None
    assert outcome.verdict()[0] == "decrypted"


@pytest.mark.parametrize("at", [0, 1, 39, 40, 41, 79, 80])
def test_a_hello_request_may_come_at_any_byte_of_a_body(at):
    script = TlsScript().full()
    script.data(TO_SERVER, LINES[:at])
    where = script.hello_request()
    answer = script.offsets[TO_SERVER]
    script.full(ask_certificate=True)
    script.data(TO_SERVER, LINES[at:80])
    outcome = run(script.flights)
    assert outcome.plaintext[0] == LINES[:80]
    asked = next(fact for fact in outcome.seen if fact.kind == "hello-request")
    assert (asked.direction, asked.offset, asked.encrypted) == (TO_CLIENT, where, True)
    again = [fact for fact in outcome.seen if fact.kind == "client-hello"][1]
    assert (again.plain_offset, again.offset, again.what.renegotiation) == (at, answer, True)


def test_an_unanswered_hello_request_changes_nothing():
    script = TlsScript().full()
    script.hello_request()
    script.hello_request()
    script.data(TO_SERVER, lines(0, 9))
    outcome = run(script.flights)
    assert outcome.kinds[-2:] == ["hello-request", "hello-request"]
    assert outcome.plaintext[0] == lines(0, 9)
    assert outcome.codes == []


def test_data_continues_after_an_unanswered_client_hello():
    script = TlsScript().full()
    next(script.full_steps())
    script.data(TO_SERVER, lines(0, 2))
    script.data(TO_CLIENT, lines(2, 4))
    outcome = run(script.flights)
    assert outcome.plaintext == (lines(0, 2), lines(2, 4))
    assert outcome.session.handshakes == 1


@pytest.mark.parametrize("refuser", [TO_SERVER, TO_CLIENT])
def test_data_continues_after_a_refused_renegotiation_which_may_be_repeated(refuser):
    script = TlsScript().full()
    if refuser == TO_SERVER:
        script.hello_request()
    else:
        next(script.full_steps())
    script.alert(refuser, 1, 100)
    script.data(TO_SERVER, lines(0, 2))
    script.full()
    script.data(TO_SERVER, lines(2, 4))
    outcome = run(script.flights)
    alert = next(fact for fact in outcome.seen if fact.kind == "alert")
    assert (alert.direction, alert.what.name, alert.what.fatal) == (refuser, "no_renegotiation", False)
    assert outcome.plaintext[0] == lines(0, 4)
    assert outcome.codes == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_client_may_show_any_number_of_certificates(count):
    script = TlsScript().full()
    script.full(ask_certificate=True, client_certificates=count)
    outcome = run(script.flights)
    shown = next(fact for fact in outcome.seen if fact.kind == "client-certificate")
    assert (shown.what.count, shown.encrypted) == (count, True)
    assert outcome.session.certificate_presented is (count > 0)


def test_in_ssl3_an_alert_replaces_an_empty_certificate():
    script = TlsScript(0x0300)
    steps = script.full_steps()
    next(steps)
    next(steps)
    script.alert(TO_SERVER, 1, 41)
    list(steps)
    outcome = run(script.flights)
    shown = next(fact for fact in outcome.seen if fact.kind == "client-certificate")
    assert shown.what.count == 0
    assert "handshake-done" in outcome.kinds


def test_after_a_renegotiation_without_keys_the_rest_is_reported_as_not_decrypted():
    script = TlsScript(suite_value=0xC02F).full()
    first = script.key_log
    script.data(TO_SERVER, lines(0, 3))
    script.full()
    script.data(TO_SERVER, lines(3, 5))
    outcome = run(script.flights, ring_with_log(first))
    assert outcome.plaintext[0] == lines(0, 3)
    assert outcome.verdict(log=True, keys=False)[:2] == ("partial", "forward-secrecy")
    (gap,) = outcome.gaps
    assert gap.length <= 80 <= gap.most


# -- any split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_steps_of_any_size_give_the_same_result(step):
    script = renegotiated()
    assert_same(run(script.flights), run(script.flights, step=step))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_any_split_gives_the_same_result(cuts):
    script = renegotiated(suite="GCM")
    assert_same(run(script.flights), run(pieces(script.flights, cuts)))


KEYRINGS = [ring_with_key(), KeyRing()]


@settings(max_examples=150, deadline=None)
@example(suite="CBC", key=1, step=1, damage=Damage([0.5, 0.5], "insert", b"\x15"))
@example(suite="CBC", key=0, step=1, damage=Damage([0.9], "insert", b"\xd6\xe4\x15\xc0\x9c"))
@given(suite=st.sampled_from(list(SUITES)), key=st.sampled_from([0, 1]), step=st.integers(1, 300), damage=damages())
def test_a_damaged_session_gives_the_same_however_it_is_cut_into_pieces(suite, key, step, damage):
    flights, lost = damage.apply(renegotiated(suite=suite).flights)
    whole, split = (run(flights, KEYRINGS[key], lost=lost, step=size) for size in (0, step))
    assert split.story == whole.story


def assert_same(whole, split):
    assert split.story == whole.story
    assert split.codes == whole.codes


@pytest.mark.parametrize("size", [1, 2, 5, 64])
def test_handshake_messages_may_be_spread_over_many_records(size):
    script = TlsScript()
    script.fragment_size = size
    script.full(ask_certificate=True)
    script.data(TO_SERVER, b"body")
    assert run(script.flights).plaintext[0] == b"body"


def test_empty_records_give_no_data():
    script = TlsScript(0x0301).full()
    script.data(TO_SERVER, b"")
    script.data(TO_SERVER, b"a")
    script.data(TO_SERVER, b"")
    outcome = run(script.flights)
    assert [event.data for event in outcome.of(Data)] == [b"a"]
    assert outcome.session.application_records == [3, 0]


# -- maps ------------------------------------------------------------------------------------------------------------


def test_plaintext_offsets_convert_to_record_offsets_and_back():
    script = TlsScript().full()
    starts = [script.data(TO_SERVER, lines(number, number + 1)) for number in range(4)]
    session = run(script.flights).session
    ends = [*starts[1:], script.offsets[TO_SERVER]]
    for number, span in enumerate(zip(starts, ends, strict=True)):
        for at in (number * 40, number * 40 + 39):
            assert (session.cipher_offset(TO_SERVER, at), session.cipher_offset(TO_SERVER, at, last=True) + 1) == span
        assert session.plain_offset(TO_SERVER, span[0]) == session.plain_offset(TO_SERVER, span[1] - 1) == number * 40
    assert session.cipher_offset(TO_SERVER, 160, last=True) + 1 == ends[3]
    session.prune(TO_SERVER, starts[2] + 1)
    assert session.cipher_offset(TO_SERVER, 80) == starts[2]
    assert session.plain_offset(TO_SERVER, starts[2] + 1) == 80
    assert session.consumed(TO_SERVER) == ends[3]


def test_an_unfinished_record_is_not_consumed():
    script = TlsScript().full()
    start = script.data(TO_SERVER, b"never whole")
    direction, last = script.flights.pop()
    session = run([*script.flights[:-1], script.flights[-1]]).session
    assert session.consumed(TO_SERVER) == start
    fresh = TlsSession(ring_with_key(), SessionCache(), "server")
    offset = [0, 0]
    for way, flight in [*script.flights, (direction, last[:-1])]:
        fresh.feed(Data(way, offset[way], flight))
        offset[way] += len(flight)
    assert fresh.consumed(TO_SERVER) == start


# -- damage ----------------------------------------------------------------------------------------------------------


@cache
def long_body(version=0x0303, suite="CBC", *, etm=False):
    script = TlsScript(version, SUITES[suite], encrypt_then_mac=etm).full()
    begin = script.offsets[TO_SERVER]
    for number in range(0, 60, 2):
        script.data(TO_SERVER, lines(number, number + 2))
    return script, begin


KINDS = [
    (0x0300, "RC4", False),
    (0x0301, "CBC", False),
    (0x0301, "CBC", True),
    (0x0303, "CBC", False),
    (0x0303, "GCM", False),
]


@pytest.mark.parametrize(("version", "suite", "etm"), KINDS)
@settings(max_examples=25, deadline=None)
@example(place=0.51953125, size=153)
@given(place=st.floats(0, 0.9), size=st.integers(1, 1500))
def test_after_a_gap_the_plaintext_continues_at_the_right_offset(version, suite, etm, place, size):
    script, begin = long_body(version, suite, etm=etm)
    end = script.offsets[TO_SERVER]
    start = begin + int(place * (end - begin))
    stop = min(start + size, end - 400)
    if stop <= start:
        return
    outcome = run(script.flights, lost=(TO_SERVER, start, stop))
    before, after = split_at_gap(outcome)
    assert LINES.startswith(before)
    assert lines(0, 60).endswith(after)
    missing = 2400 - len(before) - len(after)
    (gap,) = outcome.gaps
    assert gap.length <= missing <= gap.most <= stop - start + 400
    assert after
    assert outcome.verdict(gaps=(stop - start, 0))[:2] == ("partial", "gap")


@pytest.mark.parametrize("step", [0, 1])
def test_bytes_after_a_damaged_record_that_begin_no_record_are_no_unfinished_record(step):
    script = TlsScript().full()
    script.data(TO_SERVER, lines(0, 1))
    flights = flipped(script.flights, TO_SERVER, script.offsets[TO_SERVER] - 1, 0)
    outcome = run([*flights, (TO_SERVER, bytes.fromhex("d6e415c09c"))], step=step)  # 0x15 may begin an alert
    assert outcome.codes == ["tls-bad-mac"]


def split_at_gap(outcome):
    before, after = b"", b""
    passed = False
    for event in outcome.events:
        if isinstance(event, Gap):
            passed = True
        elif isinstance(event, Data) and passed:
            after += event.data
        elif isinstance(event, Data):
            before += event.data
    return before, after


@settings(max_examples=80, deadline=None)
@given(place=st.floats(0, 1), size=st.integers(1, 3000), direction=st.sampled_from([TO_SERVER, TO_CLIENT]))
def test_a_gap_anywhere_never_gives_false_plaintext(place, size, direction):
    script = renegotiated()
    start = int(place * script.offsets[direction])
    stop = min(start + size, script.offsets[direction])
    if start < stop:
        outcome = run(script.flights, lost=(direction, start, stop))
        assert_true_pieces(script, outcome)


@pytest.mark.parametrize(("version", "suite", "etm"), KINDS)
@settings(max_examples=25, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_protected_data_never_reaches_the_plaintext(version, suite, etm, place, bit):
    script, begin = long_body(version, suite, etm=etm)
    at = begin + int(place * (script.offsets[TO_SERVER] - begin))
    outcome = run(flipped(script.flights, TO_SERVER, at, bit))
    assert_true_pieces(script, outcome)
    if version > 0x0300:  # the MAC of SSL 3.0 leaves the version in the record header out
        assert len(outcome.plaintext[0]) < 2400


@settings(max_examples=120, deadline=None)
@given(
    place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), direction=st.sampled_from([TO_SERVER, TO_CLIENT])
)
def test_a_flipped_bit_anywhere_never_raises_and_gives_no_false_plaintext(place, bit, direction):
    script = renegotiated()
    outcome = run(flipped(script.flights, direction, int(place * script.offsets[direction]), bit))
    assert_true_pieces(script, outcome)


def assert_true_pieces(script, outcome):
    """All plaintext is made of true pieces, in their order; offsets grow, and each direction ends once."""
    for direction in (0, 1):
        at = offset = 0
        for event in outcome.events:
            if isinstance(event, Data) and event.direction == direction:
                found = bytes(script.plaintext[direction]).find(event.data, at)
                assert found >= 0
                assert event.offset == offset
                at, offset = found + len(event.data), offset + len(event.data)
            elif isinstance(event, Gap) and event.direction == direction:
                assert event.offset == offset
                assert 0 <= event.length <= event.most
                offset += event.length
    assert sorted(end.direction for end in outcome.ends) == [0, 1]


@pytest.mark.parametrize("suite", ["CBC", "GCM"])
def test_a_session_cut_anywhere_gives_a_prefix_of_the_plaintext(suite):
    script = renegotiated(suite=suite)
    total = sum(len(flight) for _, flight in script.flights)
    for cut in range(0, total, 97):
        flights, left = [], cut
        for direction, flight in script.flights:
            flights.append((direction, flight[: max(left, 0)]))
            left -= len(flight)
        outcome = run(flights, cause="capture-end")
        for direction in (0, 1):
            assert bytes(script.plaintext[direction]).startswith(outcome.plaintext[direction])
        assert outcome.gaps == []


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(max_size=80)), max_size=8))
def test_a_session_never_raises_on_any_bytes(flights):
    outcome = run(flights)
    assert outcome.plaintext == (b"", b"")
    assert len(outcome.ends) == 2


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_records_of_random_bytes_never_raise(data):
    count = data.draw(st.integers(1, 8))
    flights = []
    for _ in range(count):
        body = data.draw(st.binary(max_size=60))
        content_type = data.draw(st.sampled_from([20, 21, 22, 23, 24]))
        flights.append((data.draw(st.sampled_from([0, 1])), bytes([content_type, 3, 3, 0, len(body)]) + body))
    assert run(flights).plaintext == (b"", b"")


def test_a_finished_that_does_not_match_is_only_an_anomaly():
    script = TlsScript()
    steps = script.full_steps()
    next(steps)
    script.transcript = b"\1" + script.transcript[1:4] + b"\0" + script.transcript[5:]
    list(steps)
    script.data(TO_SERVER, b"still here")
    outcome = run(script.flights)
    assert outcome.codes == ["tls-finished-mismatch"] * 2
    assert outcome.plaintext[0] == b"still here"
    done = next(fact for fact in outcome.seen if fact.kind == "handshake-done")
    assert not done.what.verified


# -- odd beginnings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 24, 32, 40])
def test_an_sslv2_hello_may_begin_the_handshake(size):
    script = TlsScript(0x0301)
    steps = script.full_steps()
    next(steps)
    challenge = (script.client_random * 2)[:size]
    body = b"\1\3\1\0\3\0\0\0" + bytes([size]) + b"\0\0\x2f" + challenge
    script.flights[0] = (TO_SERVER, (0x8000 | len(body)).to_bytes(2, "big") + body)
    script.client_random, script.transcript = challenge[-32:].rjust(32, b"\0"), body
    list(steps)
    script.data(TO_SERVER, b"old and new")
    for step, at in ((0, (0, 0)), (1, (0, 0)), (5, (0, 0)), (0, (70, 3000)), (1, (70, 3000))):
        outcome = run(script.flights, step=step, at=at)
        assert outcome.plaintext[0] == b"old and new"
        assert outcome.session.version == 0x0301
        assert (outcome.seen[0].offset, outcome.seen[0].end) == (at[0], at[0] + len(script.flights[0][1]))


AT = (70, 3000)


@pytest.mark.parametrize("keyring", [None, KeyRing()], ids=["key", "no-key"])
@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("lost", [None, (TO_SERVER, 20, 60), (TO_SERVER, 2000, 2600), (TO_CLIENT, 100, 300)])
def test_after_clear_text_all_offsets_are_those_of_the_connection(lost, step, keyring):
    script, _ = long_body()
    here = run(script.flights, keyring, lost=lost, step=step)
    moved = lost and (lost[0], lost[1] + AT[lost[0]], lost[2] + AT[lost[0]])
    there = run(script.flights, keyring, lost=moved, step=step, at=AT)
    assert there.plaintext == here.plaintext
    assert there.gaps == here.gaps
    assert there.codes == here.codes
    for kind in (Seen, Records):
        places = [(e.direction, e.offset + AT[e.direction], e.end + AT[e.direction]) for e in here.of(kind)]
        assert [(e.direction, e.offset, e.end) for e in there.of(kind)] == places
    for direction, base in enumerate(AT):
        assert there.session.consumed(direction) == here.session.consumed(direction) + base
        for place in (0, 1, 700, 10**6):
            for last in (False, True):
                offset = here.session.cipher_offset(direction, place, last=last)
                assert there.session.cipher_offset(direction, place, last=last) == offset + base
            assert there.session.plain_offset(direction, place + base) == here.session.plain_offset(direction, place)


def test_clear_text_at_the_beginning_is_skipped():
    script = TlsScript().full()
    script.data(TO_SERVER, b"MAIL FROM:<>\r\n")
    flights = [(TO_CLIENT, b"220 ready\r\n"), (TO_SERVER, b"STARTTLS\r\n"), *script.flights]
    assert run(flights).plaintext[0] == b"MAIL FROM:<>\r\n"


def test_a_capture_that_starts_in_mid_session_gives_types_and_sizes_of_records():
    script, _ = long_body()
    body = [flight for direction, flight in script.flights if direction == TO_SERVER][4:]
    outcome = run([(TO_SERVER, b"".join(body)[33:]), (TO_CLIENT, bytes.fromhex("1703030003aabbcc"))])
    assert outcome.plaintext == (b"", b"")
    assert outcome.session.version is None
    first = outcome.records[0]
    assert (first.content_type, first.direction, first.version) == (23, TO_SERVER, 0x0303)
    assert sum(run.count for run in outcome.records if run.direction == TO_SERVER) >= 28
    assert outcome.verdict()[:2] == ("opaque", "handshake-not-captured")


def test_undecrypted_records_are_reported_in_runs_of_one_type():
    script = TlsScript().full()
    begin = script.offsets[TO_SERVER]
    for number in range(3):
        script.data(TO_SERVER, lines(number, number + 1))
    next(script.full_steps())
    script.data(TO_SERVER, b"x")
    merged = b"".join(flight for direction, flight in script.flights if direction == TO_SERVER)
    outcome = run(
        [
            *script.flights[:1],
            *[f for f in script.flights[1:] if f[0] == TO_CLIENT],
            (TO_SERVER, merged[script_len(script) :]),
        ],
        KeyRing(),
    )
    record_runs = [run for run in outcome.records if run.offset >= begin and run.direction == TO_SERVER]
    assert [(run.content_type, run.count) for run in record_runs] == [(23, 3), (22, 1), (23, 1)]
    assert record_runs[0].end == record_runs[1].offset
    assert record_runs[0].bytes == 3 * record_runs[0].last_fragment_size


def script_len(script):
    """Bytes of the ClientHello's flight."""
    return len(script.flights[0][1])


def test_bytes_after_close_notify_are_only_counted():
    script = TlsScript().full()
    script.close()
    script.data(TO_SERVER, b"too late")
    outcome = run(script.flights)
    assert outcome.plaintext == (b"", b"")
    assert outcome.session.bytes_after_close[TO_SERVER] > 8
    assert [end.cause for end in outcome.ends] == ["close-notify", "close-notify"]


def test_the_number_of_anomalies_of_one_connection_is_limited():
    session = TlsSession(ring_with_key(), SessionCache(), "server")
    count = 0
    for number in range(300):
        count += len(session.feed(Data(TO_CLIENT, number * 9, bytes.fromhex("160303000414000000"))))
    assert 0 < count <= 100
    assert len(session.feed(End(TO_CLIENT, 2700, "fin"))) == 1


# -- real captures ---------------------------------------------------------------------------------------------------

LAB = Path(__file__).resolve().parents[3] / "shared" / "captures" / "lab"


@pytest.mark.skipif(not LAB.is_dir(), reason="needs the lab captures in ../shared/captures/lab")
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("07f_midbody_reneg_ok.pcap", ["hello-request", "client-hello", "handshake-done"]),
        ("07c_deadlock_duplex_clienthello_in_flight.pcap", ["hello-request", "client-hello"]),
        ("04f_refuse_reneg_midbody_duplex.pcap", ["hello-request", "alert", "alert"]),
        ("11d_01a_reorder.pcap", ["hello-request", "client-hello", "handshake-done"]),
    ],
)
def test_renegotiations_of_real_servers_give_their_facts(name, kinds):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from easpcap.capture import open_capture
    from easpcap.tcp.assembler import Assembler

    keyring = KeyRing()
    keyring.add_private_key(load_pem_private_key((LAB / "keys" / "server.pem").read_bytes(), None), 0)
    session = TlsSession(keyring, SessionCache(), "server")
    assembler = Assembler()
    facts = []
    with open_capture(str(LAB / name)) as capture:
        events = [event for batch in capture for _, event in assembler.feed(batch)]
    events += [event for _, event in assembler.finish()]
    for event in events:
        if isinstance(event, Data | Gap | End):
            facts += [fact.kind for fact in session.feed(event) if hasattr(fact, "kind")]
    later = facts[facts.index("handshake-done") + 1 :]
    assert [kind for kind in later if kind in {"hello-request", "client-hello", "handshake-done", "alert"}] == kinds
