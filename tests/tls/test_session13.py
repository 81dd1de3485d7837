"""TLS 1.3 connections: what they say, whole, in pieces, cut and damaged."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easpcap.limits import MAX_LOST_KEY_UPDATES
from easpcap.stream import TO_CLIENT, TO_SERVER, Data, Gap
from easpcap.tls.session.session import SessionCache, TlsSession
from tests.support.tls13_script import EARLY, LABELS, SUITES, Tls13Script, extension, vector
from tests.support.tls_peer import TlsPeer, record_session
from tests.support.tls_runs import altered, damages, ring_with_log, run

REQUEST = b"POST /Microsoft-Server-ActiveSync HTTP/1.1\r\nContent-Length: 40000\r\n\r\n" + bytes(range(256)) * 150
OVERHEAD = 5 + 1 + 16  # header, inner content type, tag
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def talk(script):
    script.data(TO_SERVER, REQUEST)
    script.data(TO_CLIENT, ANSWER)
    return script.close()


def read(script, *omitted, **options):
    return run(script.flights, ring_with_log(script.key_log(*omitted)), **options)


def verdict(outcome):
    return outcome.verdict(log=True, keys=False)


def assert_read(script, outcome):
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.codes == []
    assert verdict(outcome) == ("decrypted", None)


# -- whole connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", list(SUITES))
def test_a_connection_of_every_suite_gives_its_facts_in_order(suite):
    script = talk(Tls13Script(suite).handshake())
    outcome = read(script)
    assert_read(script, outcome)
    assert outcome.kinds == [
        "client-hello",
        "server-hello",
        "certificate",
        "handshake-done",
        "close-notify",
        "close-notify",
    ]
    done = outcome.seen[3]
    assert (done.what.abbreviated, done.what.verified, done.direction) == (False, True, TO_SERVER)
    assert outcome.session.key_sources == {7}
    assert outcome.session.server_certificate is not None


def test_openssl_is_decrypted_and_its_finished_verified():
    recording = record_session(0x0304, script=[(TO_SERVER, REQUEST), (TO_CLIENT, ANSWER)])
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    assert outcome.plaintext == recording.plaintext
    assert outcome.codes == []
    assert next(seen for seen in outcome.seen if seen.kind == "handshake-done").what.verified


def test_openssl_resumes_by_psk():
    peer = TlsPeer(0x0304)
    peer.record([(TO_SERVER, b"first"), (TO_CLIENT, b"answer")])
    recording = peer.record([(TO_SERVER, b"second"), (TO_CLIENT, b"answer")], resume=True)
    assert recording.resumed
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    assert outcome.plaintext == recording.plaintext
    assert outcome.codes == []
    assert outcome.session.resumed == "psk"
    assert "certificate" not in outcome.kinds
    assert next(seen for seen in outcome.seen if seen.kind == "handshake-done").what.abbreviated


def test_openssl_presents_a_client_certificate_in_the_first_handshake():
    recording = record_session(0x0304, client_certificate=True)
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    session = outcome.session
    assert outcome.plaintext == recording.plaintext
    assert (session.certificate_requested, session.certificate_presented) == ("first-handshake", True)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_certificates_of_the_client_are_counted(count):
    outcome = read(talk(Tls13Script().handshake(certificates=count)))
    asked, came = (next(s for s in outcome.seen if s.kind == k) for k in ("certificate-request", "client-certificate"))
    assert asked.what.when == "first-handshake"
    assert came.what.count == count
    assert outcome.session.certificate_presented is (count > 0)


def test_a_hello_retry_request_is_followed_by_the_same_handshake():
    script = Tls13Script().client_hello().retry()
    script.compatible(TO_CLIENT)
    script.compatible(TO_SERVER)
    talk(script.handshake())
    outcome = read(script)
    assert_read(script, outcome)
    assert outcome.session.handshakes == 1
    assert outcome.seen[1].what.retry
    assert next(seen for seen in outcome.seen if seen.kind == "handshake-done").what.verified


def test_a_change_cipher_spec_may_come_anywhere():
    script = Tls13Script().client_hello()
    script.compatible(TO_SERVER)
    script.server_hello()
    script.compatible(TO_CLIENT)
    script.server_flight()
    script.compatible(TO_SERVER)
    script.client_flight()
    script.compatible(TO_SERVER)
    assert_read(talk(script), read(script))


@pytest.mark.parametrize("size", [1, 7, 300])
def test_messages_may_be_split_over_records(size):
    script = Tls13Script(fragment_size=size)
    script.client_hello().server_hello().server_flight(ask=True).client_flight(certificates=1)
    script.fragment_size = 2**14
    assert_read(talk(script), read(script))


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_keys_may_be_updated_at_any_time(direction):
    script = Tls13Script(0x1302).handshake()
    for number in range(4):
        script.data(direction, bytes([number]) * 500)
        script.data(1 - direction, b"meanwhile")
        script.key_update(direction)
    assert_read(talk(script), read(script))


def test_tickets_alerts_and_padding_are_not_application_data():
    script = Tls13Script().handshake()
    script.padding = 50
    script.ticket()
    script.data(TO_CLIENT, b"padded")
    script.padding = 0
    script.alert(TO_SERVER, 1, 40)
    script.alert(TO_CLIENT, 1, 90)
    outcome = read(talk(script))
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    alerts = [(seen.what.name, seen.what.fatal) for seen in outcome.seen if seen.kind == "alert"]
    assert alerts == [("handshake_failure", True), ("user_canceled", False)]  # whatever level they have


# -- post-handshake authentication -------------------------------------------------------------------------------------


def test_the_server_may_request_a_certificate_in_the_middle_of_a_body():
    script = Tls13Script().handshake(offers=True)
    script.data(TO_SERVER, REQUEST[:1000])
    asked_at = script.ask_late()
    script.data(TO_SERVER, REQUEST[1000:2000])
    script.answer_late()
    talk(script)
    outcome = read(script)
    assert_read(script, outcome)
    assert outcome.seen[0].what.offers_post_handshake_auth is True
    asked, came, done = outcome.seen[4:7]
    assert (asked.kind, asked.offset, asked.what.post_handshake) == ("certificate-request", asked_at, True)
    assert (came.kind, came.what.count, came.plain_offset) == ("client-certificate", 1, 2000)
    assert (done.kind, done.what.post_handshake) == ("handshake-done", True)
    assert (outcome.session.certificate_requested, outcome.session.certificate_presented) == ("later", True)


# -- early data --------------------------------------------------------------------------------------------------------


def with_early_data(*, accepted, suites=None, size=300):
    script = Tls13Script(0x1303).client_hello(early=True, suites=suites)
    script.compatible(TO_SERVER)
    script.early_data(bytes(size))
    script.server_hello(psk=True)
    if accepted:
        script.plaintext[TO_SERVER] += bytes(size)
    script.server_flight(early=accepted, certificate=False)
    script.early_data(b"more")
    if accepted:
        script.plaintext[TO_SERVER] += b"more"
    return talk(script.client_flight(early=accepted))


@pytest.mark.parametrize("suites", [None, [0x1302, 0x1301, 0xC02F, 0x1304, 0x1303]])
def test_early_data_that_the_server_accepts_is_application_data(suites):
    script = with_early_data(accepted=True, suites=suites)
    assert_read(script, read(script))


def test_early_data_that_the_server_rejects_is_not_application_data():
    script = with_early_data(accepted=False)
    outcome = read(script)
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.codes == ["tls-early-data-rejected"]
    assert verdict(outcome)[0] == "decrypted"


def test_a_damaged_record_of_early_data_is_reported_and_the_next_one_decrypted():
    script = Tls13Script().client_hello(early=True)
    for number in range(3):
        script.early_data(bytes([number]) * 9)
    way, flight = script.flights[-2]
    script.flights[-2] = (way, flight[:-1] + bytes([flight[-1] ^ 1]))
    script.server_hello(psk=True).server_flight(early=True, certificate=False)
    talk(script.client_flight(early=True))
    outcome = read(script)
    assert outcome.plaintext[TO_SERVER] == bytes(9) + bytes([2]) * 9 + REQUEST
    assert outcome.codes == ["tls-bad-mac"]


def test_early_data_before_a_hello_retry_request_is_skipped():
    script = Tls13Script().client_hello(early=True)
    script.early_data(b"in vain")
    script.retry()
    script.present[TO_SERVER] = None
    talk(script.handshake())
    outcome = read(script)
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.codes == ["tls-early-data-rejected"]


@pytest.mark.parametrize("accepted", [True, False])
def test_without_its_secret_only_early_data_is_not_decrypted(accepted):
    script = with_early_data(accepted=accepted)
    outcome = read(script, EARLY)
    assert outcome.plaintext[TO_SERVER] == REQUEST
    assert outcome.codes == []
    if accepted:
        assert verdict(outcome)[:2] == ("partial", "key-log-lacks-session")
        assert EARLY in outcome.session.missing_secrets
    else:
        assert verdict(outcome) == ("decrypted", None)
        assert (outcome.session.opaque_records, outcome.session.opaque_bytes) == ([0, 0], [0, 0])  # it was no data


def test_unanswered_early_data_is_decrypted():
    script = Tls13Script().client_hello(early=True)
    script.early_data(b"GET / HTTP/1.1\r\n\r\n")
    assert read(script).plaintext[TO_SERVER] == b"GET / HTTP/1.1\r\n\r\n"


def test_more_early_data_than_any_server_takes_is_not_kept():
    script = Tls13Script().client_hello(early=True)
    for _ in range(40):
        script.early_data(bytes(2**14))
    assert len(read(script).plaintext[TO_SERVER]) == 256 * 2**10


# -- drafts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", range(18, 29))
def test_drafts_are_decrypted_and_reported(draft):
    script = Tls13Script(draft=draft).handshake()
    script.key_update(TO_SERVER)
    talk(script)
    outcome = read(script)
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.codes == ["tls-draft"]
    assert outcome.session.version == 0x0304


def test_early_data_of_a_draft_is_decrypted_before_the_server_hello():
    script = Tls13Script(draft=18).client_hello(early=True)
    script.early_data(b"early")
    assert read(script).plaintext[TO_SERVER] == b"early"


def test_a_draft_before_the_oldest_is_unsupported():
    script = talk(Tls13Script(draft=16).handshake())
    assert verdict(read(script))[:2] == ("opaque", "unsupported-suite")


# -- secrets that are missing ------------------------------------------------------------------------------------------


def test_without_a_key_log_nothing_is_decrypted():
    script = talk(Tls13Script().handshake())
    outcome = run(script.flights, ring_with_log(""))
    assert outcome.verdict(log=False, keys=True) == ("opaque", "needs-key-log")


def test_a_key_log_of_another_connection_lacks_the_session():
    outcome = run(talk(Tls13Script().handshake()).flights, ring_with_log(Tls13Script().key_log()))
    assert verdict(outcome)[:2] == ("opaque", "key-log-lacks-session")


def test_the_secrets_of_the_application_data_are_enough():
    script = talk(Tls13Script().handshake(certificates=1))
    outcome = read(script, LABELS[0][0], LABELS[1][0])
    assert_read(script, outcome)
    assert outcome.kinds == ["client-hello", "server-hello", "close-notify", "close-notify"]


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
@pytest.mark.parametrize("with_handshake", [True, False])
def test_one_missing_secret_is_reported_and_affects_one_direction_only(direction, with_handshake):
    script = talk(Tls13Script().handshake())
    handshake, application = LABELS[direction]
    outcome = read(script, application, *([] if with_handshake else [handshake]))
    assert outcome.plaintext[direction] == b""
    assert outcome.plaintext[1 - direction] == bytes(script.plaintext[1 - direction])
    assert verdict(outcome) == ("partial", "key-log-lacks-session")
    assert application in outcome.session.missing_secrets
    assert outcome.codes == (["tls-secret-missing"] if with_handshake else [])


def test_a_secret_of_the_wrong_length_counts_as_missing():
    script = talk(Tls13Script().handshake())
    script.secrets["CLIENT_TRAFFIC_SECRET_0"] = b"\1" * 48
    assert "CLIENT_TRAFFIC_SECRET_0" in read(script).session.missing_secrets


def test_wrong_secrets_decrypt_nothing():
    script = talk(Tls13Script().handshake())
    script.secrets = {label: bytes(32) for label in script.secrets}
    outcome = read(script)
    assert outcome.plaintext == (b"", b"")
    assert verdict(outcome)[:2] == ("opaque", "mac-failure")


# -- in pieces, with gaps, damaged -------------------------------------------------------------------------------------


def long_story():
    script = Tls13Script().handshake(certificates=1, offers=True)
    for number in range(12):
        script.data(TO_SERVER, random.Random(number).randbytes(700))
        script.data(TO_CLIENT, random.Random(-number).randbytes(300))
        if number == 3:
            script.ask_late()
            script.answer_late()
        if number in {5, 9}:
            script.key_update(TO_SERVER)
            script.key_update(TO_CLIENT)
    return script.close()


STORY = long_story()


@pytest.mark.parametrize("step", [1, 2, 5, 100, 1000])
def test_steps_of_any_size_give_the_same_result(step):
    whole, split = read(STORY), read(STORY, step=step)
    assert_read(STORY, split)
    assert split.seen == whole.seen


def pieces_in_order(script, outcome):
    """Every piece that came out stands in the true plaintext, in order."""
    for direction in (TO_SERVER, TO_CLIENT):
        true, at = bytes(script.plaintext[direction]), 0
        for event in outcome.events:
            if type(event).__name__ == "Data" and event.direction == direction:
                at = true.index(event.data, at) + len(event.data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    direction=st.sampled_from([TO_SERVER, TO_CLIENT]),
    place=st.floats(0, 1, exclude_max=True),
    size=st.integers(1, 3000),
)
def test_after_a_gap_anywhere_decryption_recovers_without_false_plaintext(direction, place, size):
    start = int(place * STORY.offsets[direction])
    outcome = read(STORY, lost=(direction, start, start + size))
    pieces_in_order(STORY, outcome)
    hello_end = STORY.records[direction][0][1]
    last = bytes(STORY.plaintext[direction])[-300:]
    if start >= hello_end and start + size < STORY.records[direction][-3][0]:
        assert outcome.plaintext[direction].endswith(last)


def eventful(*, early, seed=1):
    """A small connection with everything that changes keys; ``early``: whether the server takes the early data."""
    script = Tls13Script(random_bytes=random.Random(seed).randbytes).client_hello(early=True, offers=True)
    script.compatible(TO_SERVER)
    script.early_data(b"a few early words")
    script.server_hello(psk=early)
    script.compatible(TO_CLIENT)
    script.server_flight(early=early, certificate=not early)
    script.compatible(TO_SERVER)
    script.early_data(b"and more of them")
    script.client_flight(early=early)
    script.ticket()
    script.data(TO_SERVER, REQUEST[:200])
    script.ask_late()
    script.key_update(TO_SERVER)
    script.data(TO_SERVER, REQUEST[200:400])
    script.answer_late()
    script.padding = 7
    script.key_update(TO_CLIENT)
    script.data(TO_CLIENT, ANSWER)
    script.padding = 0
    script.key_update(TO_SERVER)
    script.data(TO_SERVER, b"the end")
    return script.close()


EVENTFUL = {early: eventful(early=early) for early in (True, False)}
OMITTED = [(), (EARLY,), (LABELS[0][0],), (LABELS[1][0], LABELS[1][1]), (LABELS[0][1],), (EARLY, LABELS[0][0])]


@settings(max_examples=250, deadline=None)
@given(early=st.booleans(), omitted=st.sampled_from(OMITTED), step=st.integers(1, 300), damage=damages())
def test_a_damaged_session_gives_the_same_however_it_is_cut_into_pieces(early, omitted, step, damage):
    script = EVENTFUL[early]
    flights, lost = damage.apply(script.flights)
    whole, split = (run(flights, ring_with_log(script.key_log(*omitted)), lost=lost, step=size) for size in (0, step))
    assert split.story == whole.story
    assert verdict(split) == verdict(whole)


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_any_records_may_be_lost_after_the_hello_and_the_others_are_decrypted(direction):
    script = EVENTFUL[True]
    places = [start for start, _, _ in script.records[direction]] + [script.offsets[direction]]
    for start, stop in combinations(places[1:], 2):
        rest = b"".join(content for at, content in script.sent[direction] if not start <= at < stop)
        outcome = read(script, lost=(direction, start, stop))
        assert outcome.plaintext[direction] == rest, (start, stop)
        assert outcome.codes == []


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
@pytest.mark.parametrize("count", [1, 2])
def test_a_lost_change_cipher_spec_costs_no_record_after_it(direction, count):
    script = Tls13Script().handshake()
    script.data(direction, b"before")
    start = script.offsets[direction]
    for _ in range(count):
        script.compatible(direction)
    stop = script.data(direction, b"after")
    assert read(script, lost=(direction, start, stop)).plaintext[direction] == b"beforeafter"


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_gap_of_whole_records_of_data_has_its_exact_length(direction):
    script = Tls13Script().handshake()
    for number in range(6):
        script.data(direction, bytes([number]) * 1000)
    records = [record for record in script.records[direction] if record[2] == 23]
    outcome = read(script, lost=(direction, records[2][0], records[4][1]))
    (gap,) = outcome.gaps
    assert (gap.offset, gap.length, gap.most) == (2000, 3000, 3000)
    assert outcome.plaintext[direction] == bytes(
        script.plaintext[direction][:2000] + script.plaintext[direction][5000:]
    )


def test_a_gap_after_padding_has_only_a_least_and_a_greatest_length():
    script = Tls13Script().handshake()
    script.padding = 10
    for number in range(6):
        script.data(TO_SERVER, bytes([number]) * 1000)
    records = [record for record in script.records[TO_SERVER] if record[2] == 23]
    (gap,) = read(script, lost=(TO_SERVER, records[2][0], records[3][1])).gaps
    assert (gap.length, gap.most) == (0, 2020)


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_lost_key_update_is_detected(direction):
    script = Tls13Script().handshake()
    script.data(direction, b"before")
    start = script.key_update(direction)
    stop = script.offsets[direction]
    script.data(direction, b"after")
    outcome = read(script, lost=(direction, start, stop))
    assert outcome.plaintext[direction] == b"beforeafter"


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_gap_over_a_change_of_keys_has_bounds_only(direction):
    """The KeyUpdate was lost with data before and after it: how much of the loss it was cannot be known."""
    script = Tls13Script().handshake()
    script.data(direction, b"before")
    start = script.data(direction, b"a" * 100)
    script.key_update(direction)
    stop = script.data(direction, b"b" * 100) + 100 + OVERHEAD
    script.data(direction, b"after")
    outcome = read(script, lost=(direction, start, stop))
    (gap,) = outcome.gaps
    update = 5  # bytes of the message
    assert (gap.offset, gap.length, gap.most) == (6, 0, stop - start - 2 * OVERHEAD - update)
    assert gap.most >= 200
    assert outcome.plaintext[direction] == b"beforeafter"


def test_data_lost_just_before_a_change_of_keys_is_a_gap():
    script = Tls13Script().handshake()
    start = script.data(TO_SERVER, b"a" * 100)
    script.key_update(TO_SERVER)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"after")
    (gap,) = read(script, lost=(TO_SERVER, start, stop)).gaps
    assert (gap.length, gap.most) == (0, 100 + OVERHEAD)


def test_key_updates_lost_one_after_the_other_are_found_out():
    script = Tls13Script().client_hello().server_hello().server_flight()
    start = script.offsets[TO_SERVER]
    script.client_flight()  # its Finished is lost
    script.key_update(TO_SERVER)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"first")
    script.data(TO_SERVER, b"again")
    second = script.key_update(TO_SERVER)
    for _ in range(MAX_LOST_KEY_UPDATES - 1):
        script.key_update(TO_SERVER)
    third = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"second")
    flights, offset = [], 0
    for way, flight in script.flights:
        if way != TO_SERVER or not (start <= offset < stop or second <= offset < third):
            flights.append((way, offset, flight))
        offset += len(flight) if way == TO_SERVER else 0
    outcome = run_with_gaps(script, flights)
    assert outcome.plaintext[TO_SERVER] == b"firstagainsecond"
    assert outcome.codes == []


def run_with_gaps(script, kept):
    """Run flights (direction, offset to the server, bytes), with a Gap wherever bytes to the server are missing."""
    outcome = run([], ring_with_log(script.key_log()))
    session = TlsSession(ring_with_log(script.key_log()), SessionCache(), "server")
    events, reached = [], [0, 0]
    for way, offset, flight in kept:
        if way == TO_SERVER and offset > reached[way]:
            events += session.feed(Gap(way, reached[way], offset - reached[way], offset - reached[way]))
            reached[way] = offset
        events += session.feed(Data(way, reached[way], flight))
        reached[way] += len(flight)
    outcome.session, outcome.events = session, events
    return outcome


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_any_changed_record_is_reported_and_the_rest_is_decrypted(direction):
    for start, end, content_type in STORY.records[direction][1:]:
        for at in {start + 5, (start + end) // 2, end - 1}:
            outcome = run(altered(STORY.flights, direction, at, 1), ring_with_log(STORY.key_log()))
            if content_type == 20:
                continue
            assert outcome.codes[0] == "tls-bad-mac", (start, content_type)
            pieces_in_order(STORY, outcome)
            if content_type != 21:
                assert outcome.ends[direction].cause == "close-notify"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    direction=st.sampled_from([TO_SERVER, TO_CLIENT]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.sampled_from([1, 128]),
)
def test_a_flipped_bit_anywhere_never_raises_and_gives_no_false_plaintext(direction, place, bit):
    flights = altered(STORY.flights, direction, int(place * STORY.offsets[direction]), bit)
    outcome = run(flights, ring_with_log(STORY.key_log()))
    pieces_in_order(STORY, outcome)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.floats(0, 1))
def test_a_session_cut_anywhere_gives_a_prefix_of_the_plaintext(cut):
    left = int(cut * sum(STORY.offsets))
    flights = []
    for way, flight in STORY.flights:
        flights.append((way, flight[:left]))
        left -= len(flight)
        if left <= 0:
            break
    outcome = run(flights, ring_with_log(STORY.key_log()), cause="capture-end")
    for direction in (TO_SERVER, TO_CLIENT):
        assert bytes(STORY.plaintext[direction]).startswith(outcome.plaintext[direction])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([TO_SERVER, TO_CLIENT]), st.sampled_from([20, 21, 22, 23]), st.binary(max_size=80)),
        max_size=8,
    )
)
def test_whatever_the_records_hold_only_sent_data_comes_out_and_no_more_events_than_records(records):
    for script in (Tls13Script().handshake(), Tls13Script().client_hello(early=True).server_hello(psk=True)):
        early = script.present[TO_CLIENT] is None
        if early:
            script.under(TO_CLIENT, script.secrets[LABELS[TO_CLIENT][0]])
            script.under(TO_SERVER, script.secrets[EARLY])
        before = len(read(script).events)
        for direction, content_type, content in records:
            if content_type == 23:
                script.data(direction, content)
            else:
                script.send(direction, content_type, content)
        outcome = read(script)
        pieces_in_order(script, outcome)
        assert sorted(end.direction for end in outcome.ends) == [TO_SERVER, TO_CLIENT]
        contained = sum(len(content) // 2 + 3 for _, _, content in records)  # alerts have two bytes, messages four
        assert len(outcome.events) <= before + contained
        for seen in outcome.seen:
            assert 0 <= seen.offset < seen.end <= script.offsets[seen.direction]
        for direction in (TO_SERVER, TO_CLIENT):
            sent = {content_type for way, content_type, _ in records if way == direction}
            if not early and sent <= {23}:
                assert outcome.plaintext[direction] == bytes(script.plaintext[direction])


def test_unexpected_messages_are_anomalies():
    script = Tls13Script().handshake()
    script.message(TO_CLIENT, 0, b"")  # a HelloRequest has no place in TLS 1.3
    script.message(TO_SERVER, 11, b"\1")
    script.message(TO_SERVER, 99, b"")
    assert read(script).codes == ["tls-unexpected-message", "tls-broken-message", "tls-unexpected-message"]


def test_a_finished_that_does_not_match_is_only_an_anomaly():
    script = Tls13Script().client_hello().server_hello()
    script.transcript += b"another story"
    outcome = read(talk(script.server_flight().client_flight()))
    assert outcome.codes == ["tls-finished-mismatch"] * 2
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))


@pytest.mark.parametrize(("algorithm", "count"), [(1, 1), (2, None)])
def test_a_certificate_compressed_with_zlib_is_expanded(algorithm, count):
    import zlib

    from tests.support.tls13_script import entry, server_certificate_der

    body = b"\0" + vector(3, entry(server_certificate_der()))
    script = Tls13Script().client_hello().server_hello()
    script.under(TO_CLIENT, script.secrets[LABELS[TO_CLIENT][0]])
    script.message(TO_CLIENT, 8, vector(2, extension(10, b"")))
    compressed = algorithm.to_bytes(2, "big") + len(body).to_bytes(3, "big") + vector(3, zlib.compress(body))
    script.message(TO_CLIENT, 25, compressed)
    (seen,) = [seen for seen in read(script).seen if seen.kind == "certificate"]
    assert seen.what.count == count
