"""Which secrets of a key log open a TLS 1.3 connection, from epoch to epoch, and what is said where they do not."""

from __future__ import annotations

import os

import pytest

from easpcap.limits import MAX_LOST_KEY_UPDATES
from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Data, Gap
from easpcap.tls.codepoints import ALERT, APPLICATION_DATA, HANDSHAKE, HEARTBEAT
from easpcap.tls.events import Seen
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.session.session import TlsSession
from tests.support.tls13_script import EARLY, LABELS, Tls13Script, extension
from tests.support.tls_runs import altered, ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript

WRONG = bytes(32)
WHOLE = (b"request", b"answer")


def talk(script):
    script.data(TO_SERVER, b"request")
    script.data(TO_CLIENT, b"answer")
    return script


def log_of(script, *omitted, **changed):
    """The key log without some labels, and with other secrets for some."""
    kept = script.secrets
    script.secrets = kept | changed
    log = script.key_log(*omitted)
    script.secrets = kept
    return log


def read(script, *omitted, lost=None, flights=None, **changed):
    keyring = ring_with_log(log_of(script, *omitted, **changed))
    return run(script.flights if flights is None else flights, keyring, lost=lost)


def verdict(outcome):
    return tuple(outcome.verdict(log=True, keys=False))


def done(outcome):
    return [seen.what.verified for seen in outcome.seen if seen.kind == "handshake-done"]


def place_of(script, direction, number):
    """Where the last byte of a record is; ``number`` counts the records of the direction, also from the end."""
    return script.records[direction][number][1] - 1


# -- secrets of the handshake and of the application data --------------------------------------------------------------


def test_each_secret_may_come_from_another_key_log_and_every_log_that_opened_a_record_is_named():
    script = talk(Tls13Script().handshake())
    keyring = KeyRing()
    for source, label in enumerate((*LABELS[TO_SERVER], *LABELS[TO_CLIENT]), 1):
        keyring.add_key_log(log_of(script, *(other for other in script.secrets if other != label)).encode(), source)
    outcome = run(script.flights, keyring)
    assert outcome.plaintext == WHOLE
    assert outcome.session.key_sources == {1, 2, 3, 4}


def test_a_key_log_that_opened_only_early_data_is_named():
    script = early()
    keyring = KeyRing()
    keyring.add_key_log(log_of(script, EARLY).encode(), 1)
    keyring.add_key_log(log_of(script, *(label for label in script.secrets if label != EARLY)).encode(), 2)
    assert run(script.flights, keyring).session.key_sources == {1, 2}


def test_a_key_log_whose_secrets_opened_nothing_is_not_named():
    script = Tls13Script().handshake()
    keyring = KeyRing()
    keyring.add_key_log(log_of(script, *LABELS[0][1:], *LABELS[1][1:]).encode(), 1)
    keyring.add_key_log(log_of(script, LABELS[0][0], LABELS[1][0]).encode(), 2)
    assert run(script.flights, keyring).session.key_sources == {1}
    script.data(TO_CLIENT, b"answer")
    assert run(script.flights, keyring).session.key_sources == {1, 2}


def test_of_a_secret_that_was_logged_twice_the_line_that_opens_is_used():
    script = talk(Tls13Script().handshake())
    wrong = log_of(script, **dict.fromkeys(script.secrets, WRONG))
    assert run(script.flights, ring_with_log(wrong + script.key_log())).plaintext == WHOLE
    assert run(script.flights, ring_with_log(script.key_log() + wrong)).plaintext == WHOLE


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_half_a_key_log_opens_its_direction_and_verifies_no_finished(direction):
    script = talk(Tls13Script().handshake(certificates=1))
    outcome = read(script, *LABELS[1 - direction])
    assert outcome.plaintext[direction] == WHOLE[direction]
    assert outcome.plaintext[1 - direction] == b""
    assert outcome.codes == []
    assert outcome.session.missing_secrets == [*LABELS[1 - direction]]
    assert outcome.session.opaque_records[direction] == 0
    assert outcome.session.opaque_records[1 - direction] > 0
    assert verdict(outcome) == ("partial", "key-log-lacks-session")
    assert done(outcome) == ([False] if direction == TO_SERVER else [])
    assert ("certificate" in outcome.kinds) is (direction == TO_CLIENT)


@pytest.mark.parametrize("known", [True, False])
def test_without_the_secret_after_the_handshake_its_absence_is_said_where_the_handshake_ends(known):
    script = Tls13Script().handshake()
    end = script.offsets[TO_SERVER]
    talk(script)
    handshake, application = LABELS[TO_SERVER]
    outcome = read(script, application, *([] if known else [handshake]))
    assert outcome.plaintext == (b"", b"answer")
    assert outcome.session.missing_secrets == ([application] if known else [handshake, application])
    missing = [event for event in outcome.events if getattr(event, "code", "") == "tls-secret-missing"]
    assert [(each.direction, each.offset) for each in missing] == [(TO_SERVER, end)] * known
    assert outcome.session.opaque_records[TO_SERVER] == (1 if known else 2)


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_without_a_handshake_secret_its_records_are_no_data_that_stayed_closed(direction):
    script = talk(Tls13Script().handshake(certificates=1))
    outcome = read(script, LABELS[direction][0])
    assert outcome.plaintext == WHOLE
    assert outcome.session.opaque_records == [0, 0]
    assert outcome.session.opaque_bytes == [0, 0]
    assert outcome.session.missing_secrets == []
    assert outcome.gaps == []
    assert {record_run.direction for record_run in outcome.records} == {direction}
    assert verdict(outcome) == ("decrypted", None)


# -- wrong secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_wrong_handshake_secret_opens_nothing_and_costs_no_data(direction):
    script = talk(Tls13Script().handshake())
    outcome = read(script, **{LABELS[direction][0]: WRONG})
    assert outcome.plaintext == WHOLE
    assert ("certificate" in outcome.kinds) is (direction == TO_SERVER)
    assert True not in done(outcome)


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_wrong_application_secret_opens_no_data_and_every_record_fails_the_check(direction):
    script = talk(Tls13Script().handshake())
    outcome = read(script, **{LABELS[direction][1]: WRONG})
    assert outcome.plaintext[direction] == b""
    assert outcome.plaintext[1 - direction] == WHOLE[1 - direction]
    assert outcome.codes == ["tls-bad-mac"]
    assert outcome.session.opaque_records[direction] == 1
    assert verdict(outcome) == ("partial", "mac-failure")


def test_a_secret_for_another_direction_opens_nothing():
    script = talk(Tls13Script().handshake())
    client, server = (script.secrets[LABELS[direction][1]] for direction in (TO_SERVER, TO_CLIENT))
    assert read(script, **{LABELS[0][1]: server, LABELS[1][1]: client}).plaintext == (b"", b"")


def test_a_direction_is_given_up_after_many_records_that_no_key_opens():
    script = Tls13Script().handshake()
    for number in range(40):
        script.data(TO_SERVER, bytes([number]) * 40)
    outcome = read(script, CLIENT_TRAFFIC_SECRET_0=WRONG)
    assert outcome.codes == ["tls-bad-mac", "tls-lost"]
    assert outcome.session.opaque_records[TO_SERVER] > 20  # outlined from there on
    assert outcome.plaintext[TO_SERVER] == b""


# -- early data --------------------------------------------------------------------------------------------------------


def early(suite=0x1301, *, accepted=True, count=1, suites=None):
    """A connection that begins with ``count`` records of early data, of one letter each."""
    script = Tls13Script(suite).client_hello(early=True, suites=suites)
    for number in range(count):
        script.early_data(b"abcdef"[number : number + 1] * 50)
    script.server_hello(psk=accepted).server_flight(early=accepted, certificate=not accepted)
    return talk(script.client_flight(early=accepted))


@pytest.mark.parametrize("suite", [0x1301, 0x1303, 0x1304, 0x1305])
def test_early_data_shows_by_itself_which_of_the_offered_suites_it_is_under(suite):
    script = early(suite, count=2, suites=[0x1302, 0x1301, 0x1303, 0x1304, 0x1305])
    outcome = read(script)
    assert outcome.plaintext == (b"a" * 50 + b"b" * 50 + b"request", b"answer")
    assert outcome.codes == []


@pytest.mark.parametrize("suites", [None, [0x1303, 0x1304, 0x1301]])
def test_the_suite_of_early_data_is_found_though_its_first_record_is_damaged(suites):
    script = early(count=3, suites=suites)
    outcome = read(script, flights=altered(script.flights, TO_SERVER, place_of(script, TO_SERVER, 1), 1))
    assert outcome.plaintext[TO_SERVER] == b"b" * 50 + b"c" * 50 + b"request"
    assert outcome.session.application_records[TO_SERVER] == 3


def test_a_damaged_record_among_early_data_keeps_the_count_of_the_next_one():
    script = early(count=3)
    outcome = read(script, flights=altered(script.flights, TO_SERVER, place_of(script, TO_SERVER, 2), 1))
    assert outcome.plaintext[TO_SERVER] == b"a" * 50 + b"c" * 50 + b"request"
    assert outcome.codes == ["tls-bad-mac"]


def test_where_a_later_secret_is_missing_a_damaged_record_of_early_data_still_counts():
    script = Tls13Script().client_hello(early=True)
    script.early_data(b"a")
    script.server_hello(psk=True).server_flight(early=True, certificate=False)
    script.early_data(b"b")
    at = script.offsets[TO_SERVER] - 1
    script.early_data(b"c")
    talk(script.client_flight(early=True))
    flights = altered(script.flights, TO_SERVER, at, 1)
    assert read(script, LABELS[TO_SERVER][1], flights=flights).plaintext == (b"ac", b"answer")


@pytest.mark.parametrize("first", [1, 2])
def test_lost_records_of_early_data_are_passed_over(first):
    script = early(count=4)
    places = script.records[TO_SERVER]
    outcome = read(script, lost=(TO_SERVER, places[first][0], places[first + 1][1]))
    letters = [letter for number, letter in enumerate(b"abcd", 1) if number not in (first, first + 1)]
    assert outcome.plaintext[TO_SERVER] == b"".join(bytes([letter]) * 50 for letter in letters) + b"request"


@pytest.mark.parametrize("lost_end", [False, True])
def test_early_data_is_given_out_where_the_server_takes_it_even_if_its_end_is_not_seen(lost_end):
    script = early(count=2)
    number = next(at for at, (_, _, kind) in enumerate(script.records[TO_SERVER]) if at and kind == HANDSHAKE)
    start, stop, _ = script.records[TO_SERVER][number]
    outcome = read(script, lost=(TO_SERVER, start, stop) if lost_end else None)
    assert outcome.plaintext == (b"a" * 50 + b"b" * 50 + b"request", b"answer")
    assert done(outcome) == [not lost_end]


def test_rejected_early_data_is_reported_once_at_its_first_record():
    script = Tls13Script().client_hello(early=True)
    start = script.offsets[TO_SERVER]
    for _ in range(3):
        script.early_data(b"in vain")
    script.server_hello().server_flight(early=False)
    script.early_data(b"before the client knew")
    outcome = read(talk(script.client_flight()))
    (rejected,) = [event for event in outcome.events if getattr(event, "code", None)]
    assert (rejected.code, rejected.direction, rejected.offset) == ("tls-early-data-rejected", TO_SERVER, start)
    assert outcome.plaintext == WHOLE
    assert outcome.session.application_bytes[TO_SERVER] == len(b"request")


def test_early_data_without_a_secret_counts_as_not_opened_only_if_the_server_takes_it():
    for accepted, records, missing in ((True, 2, [EARLY]), (False, 0, [])):
        outcome = read(early(count=2, accepted=accepted), EARLY)
        assert outcome.plaintext == WHOLE
        assert (outcome.session.opaque_records[TO_SERVER] >= records) is True
        assert (outcome.session.opaque_records[TO_SERVER] == 0) is not accepted
        assert outcome.session.missing_secrets == missing


def test_a_wrong_secret_for_early_data_is_like_none():
    outcome = read(early(count=2), CLIENT_EARLY_TRAFFIC_SECRET=WRONG)
    assert outcome.plaintext == WHOLE
    assert outcome.codes == []
    assert outcome.session.missing_secrets == [EARLY]


def test_without_the_servers_handshake_early_data_counts_only_where_a_session_was_resumed():
    for accepted in (True, False):
        outcome = read(early(accepted=accepted), LABELS[TO_CLIENT][0])
        assert outcome.plaintext == (b"a" * 50 * accepted + b"request", b"answer")
        assert outcome.codes == ([] if accepted else ["tls-early-data-rejected"])


@pytest.mark.parametrize("accepted", [True, False])
def test_early_data_is_held_until_the_encrypted_extensions_say_whether_it_was_taken(accepted):
    script = early(accepted=accepted)
    session = TlsSession(ring_with_log(script.key_log()), SessionCache(), "server")
    kinds, offsets = [], [0, 0]
    for way, flight in script.flights[:4]:
        kinds.append([type(event) for event in session.feed(Data(way, offsets[way], flight))])
        offsets[way] += len(flight)
    assert kinds[1:] == [[], [Seen], [Data if accepted else Anomaly]]  # early data, ServerHello, EncryptedExtensions


def test_after_early_data_and_a_hello_retry_request_the_handshake_is_verified():
    script = Tls13Script().client_hello(early=True)
    script.early_data(b"in vain")
    script.retry()
    script.present[TO_SERVER] = None
    outcome = read(talk(script.handshake()))
    assert outcome.plaintext == WHOLE
    assert done(outcome) == [True]


def test_with_the_early_secret_alone_only_early_data_is_read():
    script = early(count=2)
    outcome = read(script, *LABELS[TO_SERVER])
    assert outcome.plaintext[TO_CLIENT] == b"answer"
    assert outcome.session.missing_secrets == [*LABELS[TO_SERVER]]
    assert outcome.session.opaque_records[TO_SERVER] == 3  # the end of early data, the Finished, the request


class EarlyTls12(TlsScript):
    """A client that offers TLS 1.3 with early data, and a server that chooses TLS 1.2."""

    def _message(self, direction, message_type, body):
        if message_type == 1:
            size = int.from_bytes(body[-2 - self._extensions(body) : -self._extensions(body)], "big")
            added = extension(42, b"") + extension(43, b"\4\3\4\3\3")
            body = body[: -2 - size] + (size + len(added)).to_bytes(2, "big") + body[-size:] + added
        super()._message(direction, message_type, body)

    def _extensions(self, body):
        at = 34
        at += 1 + body[at]
        at += 2 + int.from_bytes(body[at : at + 2], "big")
        at += 1 + body[at]
        return len(body) - at - 2


@pytest.mark.parametrize("sent", [0, 2])
def test_after_early_data_in_vain_the_server_may_choose_tls_1_2(sent):
    script = EarlyTls12()
    for step in script.full_steps():
        if step == "client-hello":
            for _ in range(sent):
                script.send(TO_SERVER, APPLICATION_DATA, os.urandom(60))
    talk(script)
    outcome = run(script.flights, ring_with_key())
    assert outcome.plaintext == WHOLE
    assert outcome.codes == []
    assert outcome.session.version == 0x0303


def test_bytes_lost_after_the_server_chose_tls_1_2_are_of_the_handshake():
    script = EarlyTls12()
    for step in script.full_steps():
        if step == "server-flight":
            start = script.offsets[TO_SERVER]
    outcome = run(talk(script).flights, ring_with_key(), lost=(TO_SERVER, start, start + 20))
    assert outcome.session.gap_in_handshake


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_damaged_record_of_data_is_reported_with_its_size_and_costs_no_other(direction, number):
    script = Tls13Script().handshake()
    places = [script.data(direction, b"abc"[at : at + 1] * 30) for at in range(3)]
    outcome = read(talk(script), flights=altered(script.flights, direction, places[number] + 5, 1))
    (bad,) = outcome.of(Anomaly)
    assert (bad.code, bad.direction, bad.offset) == ("tls-bad-mac", direction, places[number])
    letters = b"abc".replace(b"abc"[number : number + 1], b"")
    whole = b"".join(bytes([letter]) * 30 for letter in letters) + WHOLE[direction]
    assert outcome.plaintext[direction] == whole
    assert outcome.gaps == [Gap(direction, number * 30, 30 if number else 0, 30)]  # the first may have been a ticket


def test_a_damaged_message_of_the_handshake_counts_no_data():
    script = talk(Tls13Script().handshake(certificates=1))
    outcome = read(script, flights=altered(script.flights, TO_CLIENT, place_of(script, TO_CLIENT, 2), 1))
    assert outcome.codes == ["tls-bad-mac"]
    assert outcome.plaintext == WHOLE
    assert outcome.session.opaque_records == [0, 0]
    assert "certificate-request" not in outcome.kinds
    assert "client-certificate" in outcome.kinds
    assert done(outcome) == [False]


def test_a_connection_whose_draft_is_too_old_is_left_closed_though_its_secrets_are_known():
    script = talk(Tls13Script(draft=16).handshake())
    outcome = read(script)
    assert outcome.plaintext == (b"", b"")
    assert "tls-bad-mac" not in outcome.codes
    assert outcome.session.missing_secrets == []
    assert verdict(outcome) == ("opaque", "unsupported-suite")


# -- key updates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_key_update_changes_the_keys_of_its_direction_only(direction):
    script = talk(Tls13Script().handshake())
    for _ in range(2):
        script.key_update(direction)
        talk(script)
    outcome = read(script)
    assert outcome.plaintext == (b"request" * 3, b"answer" * 3)
    assert outcome.codes == []


@pytest.mark.parametrize(("lost", "found"), [(MAX_LOST_KEY_UPDATES, True), (MAX_LOST_KEY_UPDATES + 1, False)])
def test_as_many_lost_key_updates_are_inferred_as_the_limit_says(lost, found):
    script = talk(Tls13Script().handshake())
    start = script.offsets[TO_SERVER]
    for _ in range(lost):
        script.key_update(TO_SERVER)
    stop = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"after")
    assert read(script, lost=(TO_SERVER, start, stop)).plaintext[TO_SERVER] == b"request" + b"after" * found


def test_a_damaged_key_update_is_reported_and_its_keys_are_found_all_the_same():
    script = talk(Tls13Script().handshake())
    script.key_update(TO_SERVER)
    at = script.offsets[TO_SERVER] - 1
    talk(script)
    outcome = read(script, flights=altered(script.flights, TO_SERVER, at, 1))
    assert outcome.plaintext == (b"request" * 2, b"answer" * 2)
    assert outcome.codes == ["tls-bad-mac"]


def test_a_key_update_in_the_handshake_is_unexpected_and_changes_no_keys():
    script = Tls13Script().client_hello().server_hello().server_flight()
    script.under(TO_SERVER, script.secrets[LABELS[TO_SERVER][0]])
    script.message(TO_SERVER, 24, b"\0", recorded=False)
    script.finished(TO_SERVER)
    outcome = read(talk(script))
    assert outcome.codes[0] == "tls-unexpected-message"
    assert outcome.plaintext == WHOLE


def test_a_message_may_not_go_on_after_the_keys_changed():
    script = Tls13Script().handshake()
    script.send(TO_SERVER, HANDSHAKE, b"\x18\0\0\1\0" + b"\x04\0\0\xff")  # a KeyUpdate, and the head of a message
    script.under(TO_SERVER, script.expand(script.present[TO_SERVER], b"traffic upd", 32))
    outcome = read(talk(script))
    assert outcome.codes == ["tls-broken-message"]
    assert outcome.plaintext == WHOLE


# -- what is in the clear ----------------------------------------------------------------------------------------------


def test_an_alert_in_the_clear_is_read_after_the_server_hello():
    script = Tls13Script().client_hello().server_hello()
    script.send(TO_SERVER, ALERT, b"\2\x28")
    script.under(TO_CLIENT, script.secrets[LABELS[TO_CLIENT][0]])
    script.alert(TO_CLIENT, 1, 40)  # whatever level it has, TLS 1.3 goes by the description
    alert, encrypted = [seen for seen in read(script).seen if seen.kind == "alert"]
    assert (encrypted.what.fatal, encrypted.encrypted, encrypted.direction) == (True, True, TO_CLIENT)
    assert (alert.what.name, alert.encrypted, alert.direction) == ("handshake_failure", False, TO_SERVER)


def test_a_record_that_tls_1_3_never_sends_in_the_clear_is_only_outlined():
    script = Tls13Script().handshake()
    for content_type, size in ((HEARTBEAT, 2), (ALERT, 20)):
        script.raw(TO_SERVER, bytes([content_type, 3, 3, 0, size]) + bytes(size))
    outcome = read(talk(script))
    assert [(record_run.content_type, record_run.bytes) for record_run in outcome.records] == [(24, 2), (21, 20)]
    assert [seen.kind for seen in outcome.seen if seen.kind == "alert"] == []
    assert outcome.plaintext == WHOLE


def test_an_inner_type_that_means_nothing_is_passed_over():
    script = Tls13Script().handshake()
    script.send(TO_SERVER, HEARTBEAT, b"anything")
    outcome = read(talk(script))
    assert outcome.plaintext == WHOLE
    assert outcome.codes == []


def test_a_search_that_had_not_ended_counts_as_data_that_stayed_closed():
    script = talk(Tls13Script().handshake())
    place = script.offsets[TO_SERVER]
    script.data(TO_SERVER, b"lost")
    outcome = read(script, lost=(TO_SERVER, place, script.offsets[TO_SERVER]))
    assert outcome.session.opaque_records[TO_SERVER] == 1
    assert verdict(outcome) == ("partial", "gap")


def test_after_lost_bytes_a_record_in_the_clear_is_no_proof():
    """Bytes that look like an alert record come after the gap: they are not read."""
    script = talk(Tls13Script().handshake())
    start = script.data(TO_SERVER, b"lost")
    stop = script.offsets[TO_SERVER]
    script.raw(TO_SERVER, bytes.fromhex("15030300020228"))
    script.data(TO_SERVER, b"found")
    outcome = read(script, lost=(TO_SERVER, start, stop))
    assert outcome.plaintext[TO_SERVER] == b"requestfound"
    assert "alert" not in outcome.kinds
