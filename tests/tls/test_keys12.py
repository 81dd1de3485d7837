"""Which of the secrets that may fit is used up to TLS 1.2, and what is said where none opens the records."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER, Anomaly, Gap
from easpcap.tls.codepoints import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import Origin, SessionCache
from tests.support.tls_peer import server_private_key
from tests.support.tls_runs import SERVER, altered, run
from tests.support.tls_script import TlsScript

GCM, ECDHE_GCM = 0x009C, 0xC02F
WRONG = bytes(48)
SESSION = b"i" * 32


def talk(script):
    script.data(TO_SERVER, b"request")
    script.data(TO_CLIENT, b"answer")
    return script


def line(script, master=None):
    return f"CLIENT_RANDOM {script.client_random.hex()} {(master or script.master).hex()}\n"


def session_line(master):
    return f"RSA Session-ID:{SESSION.hex()} Master-Key:{master.hex()}\n"


def ring(*logs, private_key=False):
    """A key ring with the private key as source 0, and key logs as sources 1, 2, ..."""
    keyring = KeyRing()
    if private_key:
        keyring.add_private_key(server_private_key(), 0)
    for number, log in enumerate(logs, 1):
        keyring.add_key_log(log.encode(), number)
    return keyring


def verdict(outcome):
    return tuple(outcome.verdict(log=True, keys=False))


def done(outcome):
    return [seen.what for seen in outcome.seen if seen.kind == "handshake-done"]


# -- which secret is used ----------------------------------------------------------------------------------------------


def test_a_key_log_is_used_before_a_private_key():
    script = talk(TlsScript().full())
    outcome = run(script.flights, ring(line(script), private_key=True))
    assert outcome.plaintext == (b"request", b"answer")
    assert outcome.session.key_sources == {1}


@pytest.mark.parametrize("right", [1, 2])
def test_of_several_secrets_the_one_that_opens_the_first_record_is_used(right):
    script = talk(TlsScript().full(session_id=SESSION))
    by_random = line(script, None if right == 1 else WRONG)
    by_id = session_line(script.master if right == 2 else WRONG)
    outcome = run(script.flights, ring(by_random, by_id))
    assert outcome.plaintext == (b"request", b"answer")
    assert outcome.session.key_sources == {right}
    assert [fact.verified for fact in done(outcome)] == [True]


@pytest.mark.parametrize("right", ["ticket", "session-id", "both"])
def test_a_resumed_session_is_opened_by_the_origin_whose_secret_is_right(right):
    first = TlsScript().full()
    cache = SessionCache()
    cache.store_ticket(b"ticket", Origin(WRONG if right == "session-id" else first.master, 3, None))
    cache.store_id(SERVER, SESSION, Origin(WRONG if right == "ticket" else first.master, 4, None))
    script = talk(TlsScript().abbreviated(first.master, session_id=SESSION, ticket=b"ticket"))
    outcome = run(script.flights, ring(), cache=cache)
    assert outcome.plaintext == (b"request", b"answer")
    assert outcome.session.key_sources == {4 if right == "session-id" else 3}


def test_in_a_resumed_session_the_key_log_comes_before_the_origin():
    first = TlsScript().full()
    cache = SessionCache()
    cache.store_id(SERVER, SESSION, Origin(first.master, 3, None))
    script = talk(TlsScript().abbreviated(first.master, session_id=SESSION))
    assert run(script.flights, ring(line(script)), cache=cache).session.key_sources == {1}


def test_a_suite_without_encryption_counts_no_key_as_used_where_none_was_given():
    script = talk(TlsScript(suite_value=0x0002).full())  # RSA_WITH_NULL_SHA
    for keyring, sources in ((ring(), set()), (ring(private_key=True), {0})):
        outcome = run(script.flights, keyring)
        assert outcome.plaintext == (b"request", b"answer")
        assert outcome.session.key_sources == sources


# -- no secret opens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "reason"), [(WRONG, "mac-failure"), (None, "forward-secrecy")], ids=["wrong", "no-line"]
)
def test_without_the_right_secret_every_protected_record_is_outlined_and_nothing_else_is_said(log, reason):
    script = talk(TlsScript(suite_value=ECDHE_GCM).full())
    outcome = run(script.flights, ring("" if log is None else line(script, log)))
    assert outcome.plaintext == (b"", b"")
    assert outcome.codes == []
    assert outcome.gaps == []
    outlines = [(record_run.direction, record_run.content_type) for record_run in outcome.records]
    assert sorted(outlines) == [(way, kind) for way in (0, 1) for kind in (HANDSHAKE, APPLICATION_DATA)]
    assert outcome.session.key_sources == set()
    assert outcome.session.opaque_records == [1, 1]
    assert verdict(outcome) == ("opaque", reason)


def test_a_handshake_with_finished_messages_that_do_not_open_is_done_but_not_verified():
    outcome = run(TlsScript().full().flights, ring())
    assert [(fact.renegotiation, fact.verified) for fact in done(outcome)] == [(False, False)]


def test_the_first_handshake_without_a_secret_gives_the_reason():
    """The later one had a wrong line in the key log; that the first one had none is what the user is told."""
    script = TlsScript(suite_value=ECDHE_GCM).full()
    talk(script.full())
    outcome = run(script.flights, ring(line(script, WRONG)))
    assert verdict(outcome) == ("opaque", "forward-secrecy")


def test_a_session_that_was_not_opened_is_remembered_with_its_reason():
    cache = SessionCache()
    run(TlsScript(suite_value=ECDHE_GCM).full(session_id=SESSION).flights, ring(), cache=cache)
    assert cache.by_id(SERVER, SESSION) == Origin(None, None, "forward-secrecy")


def test_a_session_that_was_opened_is_remembered_with_its_secret():
    cache = SessionCache()
    script = TlsScript().full(session_id=SESSION, ticket=b"ticket")
    run(script.flights, ring(line(script)), cache=cache)
    assert cache.by_id(SERVER, SESSION) == cache.by_ticket(b"ticket") == Origin(script.master, 1, None)


def test_a_secret_that_opened_nothing_is_not_remembered():
    cache = SessionCache()
    script = TlsScript().full(session_id=SESSION)
    run(script.flights, ring(line(script, WRONG)), cache=cache)
    assert cache.by_id(SERVER, SESSION).master is None


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite_value", [0x002F, GCM])
@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_damaged_finished_is_reported_and_the_data_after_it_is_read(direction, suite_value):
    script = TlsScript(suite_value=suite_value).full()
    at = script.offsets[direction] - 1
    outcome = run(altered(talk(script).flights, direction, at, 1), ring(line(script)))
    assert outcome.codes == ["tls-bad-mac"]
    assert outcome.plaintext == (b"request", b"answer")
    assert outcome.session.opaque_records == [0, 0]
    assert outcome.session.handshake_without_keys is None
    assert verdict(outcome)[0] == "decrypted"


def test_damage_to_both_finished_messages_leaves_nothing_that_proves_a_secret():
    script = TlsScript(suite_value=GCM).full()
    places = list(script.offsets)
    flights = talk(script).flights
    for direction in (TO_SERVER, TO_CLIENT):
        flights = altered(flights, direction, places[direction] - 1, 1)
    outcome = run(flights, ring(line(script)))
    assert outcome.plaintext == (b"", b"")
    assert verdict(outcome) == ("opaque", "mac-failure")


def test_data_that_came_before_the_other_direction_proved_the_secret_stays_closed():
    """Only what follows the damaged Finished at once can be read under the count of its epoch."""
    script = TlsScript(suite_value=GCM)
    for step in script.full_steps():
        if step == "client-finished":
            at = script.offsets[TO_SERVER] - 1
            script.data(TO_SERVER, b"eager")
    talk(script)
    outcome = run(altered(script.flights, TO_SERVER, at, 1), ring(line(script)))
    assert outcome.plaintext == (b"", b"answer")
    assert outcome.session.opaque_records == [2, 0]
    assert outcome.codes == []


def test_after_a_damaged_finished_nothing_proves_the_first_block_of_tls_1_0_with_encrypt_then_mac():
    """The MAC covers the ciphertext of one record only (RFC 7366), and the record is chained to the damaged one."""
    script = TlsScript(0x0301, encrypt_then_mac=True).full()
    at = script.offsets[TO_SERVER] - 1
    talk(script)
    outcome = run(altered(script.flights, TO_SERVER, at, 1), ring(line(script)))
    assert outcome.plaintext == (b"", b"answer")
    assert outcome.session.opaque_records == [1, 0]
    assert verdict(outcome) == ("partial", "mac-failure")


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_finished_that_was_not_opened_does_not_make_the_other_one_wrong(direction):
    script = TlsScript(0x0301, encrypt_then_mac=True)
    for step in script.full_steps() if direction == TO_SERVER else script.abbreviated_steps(bytes(range(48))):
        if step in ("client-finished", "server-finished"):
            at = script.offsets[direction] - 1
    outcome = run(altered(talk(script).flights, direction, at, 1), ring(line(script)))
    assert outcome.codes == []
    assert [fact.verified for fact in done(outcome)] == [False]


def test_a_damaged_message_is_reported_and_is_no_data_for_certain():
    script = TlsScript(suite_value=GCM).full()
    start = script.hello_request()
    end = script.offsets[TO_CLIENT]
    outcome = run(altered(talk(script).flights, TO_CLIENT, end - 1, 1), ring(line(script)))
    (bad,) = outcome.of(Anomaly)
    assert (bad.code, bad.direction, bad.offset) == ("tls-bad-mac", TO_CLIENT, start)
    assert outcome.gaps == [Gap(TO_CLIENT, 0, 0, 4)]  # the type in its header may be what was damaged
    assert outcome.plaintext == (b"request", b"answer")


def test_a_damaged_record_of_data_is_reported_and_its_size_is_known():
    script = TlsScript(suite_value=GCM).full()
    start = script.data(TO_CLIENT, b"damaged")
    end = script.offsets[TO_CLIENT]
    outcome = run(altered(talk(script).flights, TO_CLIENT, end - 1, 1), ring(line(script)))
    (bad,) = outcome.of(Anomaly)
    assert (bad.code, bad.direction, bad.offset) == ("tls-bad-mac", TO_CLIENT, start)
    assert outcome.gaps == [Gap(TO_CLIENT, 0, 7, 7)]
    assert outcome.plaintext == (b"request", b"answer")


@pytest.mark.parametrize(
    ("version", "suite_value"), [(0x0301, 0x0005), (0x0301, 0x002F), (0x0303, 0x002F), (0x0303, GCM)]
)
def test_after_a_record_with_a_wrong_length_the_next_one_is_searched_and_read(version, suite_value):
    """What the header leaves over is no record, and has no number."""
    script = TlsScript(version, suite_value).full()
    length = script.data(TO_CLIENT, bytes(range(200))) + 4  # the lower byte, in which bit 6 is set
    flights = altered(talk(script).flights, TO_CLIENT, length, 64)
    outcome = run(flights, ring(line(script)))
    assert outcome.codes == ["tls-bad-mac"]
    assert outcome.plaintext == (b"request", b"answer")


# -- changes of keys ---------------------------------------------------------------------------------------------------


def test_keys_that_change_without_a_handshake_belong_to_one_that_was_missed():
    script = talk(TlsScript().full())
    script.send(TO_SERVER, CHANGE_CIPHER_SPEC, b"\1")
    script.data(TO_SERVER, b"under other keys")
    outcome = run(script.flights, ring(line(script)))
    assert outcome.plaintext == (b"request", b"answer")
    assert outcome.codes == ["tls-unexpected-message"]
    assert outcome.session.opaque_records == [1, 0]
    assert [(gap.direction, gap.offset) for gap in outcome.gaps] == [(TO_SERVER, len(b"request"))]


def test_keys_may_not_change_in_the_middle_of_a_message():
    script = TlsScript()
    steps = script.full_steps()
    assert [next(steps) for _ in range(3)][-1] == "client-key-exchange"
    script.send(TO_SERVER, HANDSHAKE, b"\x10\0\1\0half")
    list(steps)
    talk(script)
    outcome = run(script.flights, ring(line(script)))
    assert outcome.codes == ["tls-broken-message"]
    assert outcome.plaintext == (b"request", b"answer")


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_a_lost_change_of_keys_is_inferred_from_the_record_after_it(direction):
    script = TlsScript(suite_value=GCM)
    places = [None, None]
    for step in script.full_steps():
        if step in ("client-key-exchange", "client-finished"):
            places[TO_SERVER if step == "client-key-exchange" else TO_CLIENT] = list(script.offsets)
    talk(script)
    start = places[direction][direction]
    outcome = run(script.flights, ring(line(script)), lost=(direction, start, start + 6))
    assert outcome.plaintext == (b"request", b"answer")
    changes = [seen.direction for seen in outcome.seen if seen.kind == "change-cipher-spec"]
    assert changes == [1 - direction]


def test_a_lost_change_of_keys_and_a_wrong_secret_leave_the_direction_closed():
    script = TlsScript(suite_value=GCM)
    for step in script.full_steps():
        if step == "client-key-exchange":
            start = script.offsets[TO_SERVER]
    talk(script)
    outcome = run(script.flights, ring(line(script, WRONG)), lost=(TO_SERVER, start, start + 6))
    assert outcome.plaintext == (b"", b"")
    assert outcome.kinds.count("change-cipher-spec") == 1
    assert outcome.session.opaque_records == [0, 1]  # in the other direction the search has not ended
    assert verdict(outcome) == ("opaque", "gap")


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_without_any_secret_the_records_after_a_lost_change_of_keys_are_outlined(direction):
    script = TlsScript(suite_value=ECDHE_GCM)
    for step in script.full_steps():
        if step == ("client-key-exchange" if direction == TO_SERVER else "client-finished"):
            start = script.offsets[direction]
    outcome = run(talk(script).flights, ring(), lost=(direction, start, start + 6))
    assert outcome.session.opaque_records == [1, 1]
    kinds = [record_run.content_type for record_run in outcome.records if record_run.direction == direction]
    assert kinds == [HANDSHAKE, APPLICATION_DATA]


def test_a_change_of_keys_counts_though_nothing_proves_the_first_block_of_its_record():
    """Of TLS 1.0 with RFC 7366: the one block that it has is known, and without it the direction would be lost."""
    script = TlsScript(0x0301, encrypt_then_mac=True).full()
    for step in script.full_steps():
        if step == "client-key-exchange":
            start = script.data(TO_SERVER, b"lost")
            stop = script.data(TO_SERVER, b"the context of the next one" * 2)
    outcome = run(talk(script).flights, ring(script.key_log), lost=(TO_SERVER, start, stop))
    assert outcome.plaintext == (b"request", b"answer")
    assert [seen.direction for seen in outcome.seen if seen.kind == "change-cipher-spec"][2:] == [TO_SERVER, TO_CLIENT]


# -- what is in the clear ----------------------------------------------------------------------------------------------


def test_application_data_before_the_keys_change_shows_that_the_change_was_missed():
    script = TlsScript()
    steps = script.full_steps()
    next(steps), next(steps)
    script.send(TO_SERVER, APPLICATION_DATA, b"looks encrypted")
    next(steps)
    outcome = run(script.flights, ring())
    assert outcome.kinds == ["client-hello", "server-hello", "certificate"]
    assert [record_run.content_type for record_run in outcome.records] == [APPLICATION_DATA, HANDSHAKE]
    assert outcome.session.opaque_records == [1, 0]


MESSAGE = bytes.fromhex("16030300040e000000")  # a ServerHelloDone in the clear
OPAQUE_DATA, OPAQUE_MESSAGE = (bytes.fromhex(f"{kind}030300 20") + b"\xee" * 32 for kind in ("17", "16"))


@pytest.mark.parametrize("first", [OPAQUE_DATA, OPAQUE_MESSAGE])
def test_after_a_record_that_was_encrypted_nothing_is_taken_for_clear_text(first):
    outcome = run([(TO_CLIENT, first), (TO_CLIENT, MESSAGE)], ring())
    assert outcome.codes == []
    assert sum(record_run.count for record_run in outcome.records) == 2


@pytest.mark.parametrize(("first", "outlined"), [(OPAQUE_DATA, 1), (OPAQUE_MESSAGE, 2)])
def test_between_the_hellos_data_that_is_encrypted_may_be_early_data(first, outlined):
    hello = TlsScript()
    next(hello.full_steps())
    outcome = run([*hello.flights, (TO_SERVER, first), (TO_SERVER, MESSAGE)], ring())
    assert sum(record_run.count for record_run in outcome.records) == outlined
    assert outcome.codes == (["tls-unexpected-message"] if outlined == 1 else [])


def test_an_encrypted_alert_in_place_of_the_first_hello_is_outlined():
    outcome = run([(TO_SERVER, bytes.fromhex("150303000a") + bytes(10))], ring())
    assert outcome.seen == []
    assert [record_run.content_type for record_run in outcome.records] == [21]


def test_a_gap_of_a_whole_number_of_records_is_exact_with_gcm():
    script = TlsScript(suite_value=GCM).full()
    places = [script.data(TO_SERVER, bytes([number]) * 50) for number in range(4)]
    outcome = run(script.flights, ring(line(script)), lost=(TO_SERVER, places[1], places[3]))
    assert outcome.gaps == [Gap(TO_SERVER, 50, 100, 100)]
    assert outcome.plaintext[TO_SERVER] == bytes(50) + b"\3" * 50
