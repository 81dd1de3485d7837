"""Key logs that give several secrets for one connection, or secrets filled up with zeros: the one that opens wins."""

from __future__ import annotations

import itertools
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap import limits
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.secrets.key_log import secret_of_size
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.session.session import SessionCache
from tests.support.tls13_script import LABELS, SUITES, Tls13Script
from tests.support.tls_peer import TlsPeer, record_session, server_private_key
from tests.support.tls_runs import flipped, ring_with_log, run

REQUEST, ANSWER = b"POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n" + bytes(3000), b"HTTP/1.1 200 OK\r\n\r\n"
RANDOM, SECRET = "a1" * 32, "b2" * 48


def talk(script):
    script.data(TO_SERVER, REQUEST)
    script.data(TO_CLIENT, ANSWER)
    return script.close()


def others(key_log, fill=os.urandom):
    """The lines of a key log, each with another secret."""
    return re.sub(r"[0-9a-f]+$", lambda match: fill(len(match[0]) // 2).hex(), key_log, flags=re.MULTILINE)


def assert_read(script, key_log, **options):
    outcome = run(script.flights, ring_with_log(key_log), **options)
    assert outcome.plaintext == tuple(map(bytes, script.plaintext))
    assert outcome.codes == []
    assert outcome.verdict(log=True, keys=False) == ("decrypted", None)
    return outcome


# -- TLS 1.3 -----------------------------------------------------------------------------------------------------------


def whole_story():
    script = Tls13Script().handshake(certificates=1)
    script.ticket()
    for direction in (TO_SERVER, TO_CLIENT):
        script.data(direction, REQUEST)
        script.key_update(direction)
    return talk(script)


@pytest.mark.parametrize("step", [0, 1, 1000])
@pytest.mark.parametrize("place", ["before", "after", "around"])
def test_a_secret_that_opens_nothing_does_not_displace_the_right_one(place, step):
    script = whole_story()
    log = script.key_log()
    text = {"before": others(log) + log, "after": log + others(log), "around": others(log) + log + others(log)}[place]
    outcome = assert_read(script, text, step=step)
    done = next(event.what for event in outcome.seen if event.kind == "handshake-done")
    assert done.verified
    assert outcome.session.key_sources == {7}


@pytest.mark.parametrize("suite", list(SUITES))
def test_lines_of_zeros_do_not_displace_the_right_ones(suite):
    script = talk(Tls13Script(suite).handshake())
    for log in (
        (others(script.key_log(), bytes), script.key_log()),
        (script.key_log(), others(script.key_log(), bytes)),
    ):
        assert_read(script, "".join(log))


@pytest.mark.parametrize("right", list(itertools.product([False, True], repeat=4)))
def test_each_secret_is_chosen_by_itself(right):
    """Whether the right line of a label is the first or the second is another matter for every label."""
    script = whole_story()
    lines = []
    for label, first in zip((*LABELS[0], *LABELS[1]), right, strict=True):
        line = f"{label} {script.client_random.hex()} {script.secrets[label].hex()}\n"
        lines += [line, others(line)] if first else [others(line), line]
    assert_read(script, "".join(lines))


def test_wrong_secrets_only_are_no_key_that_is_missing():
    script = talk(Tls13Script().handshake())
    outcome = run(script.flights, ring_with_log(others(script.key_log()) + others(script.key_log())))
    assert outcome.plaintext == (b"", b"")
    assert outcome.verdict(log=True, keys=False) == ("opaque", "mac-failure")


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_right_secret_is_found_after_lost_bytes(place):
    script = whole_story()
    log = script.key_log()
    text = others(log) + log if place == "before" else log + others(log)
    whole = sum(len(flight) for direction, flight in script.flights if direction == TO_CLIENT)
    for start in range(200, whole - 400, 97):
        loss = (TO_CLIENT, start, start + 90)
        alone = run(script.flights, ring_with_log(log), lost=loss)
        assert run(script.flights, ring_with_log(text), lost=loss).story == alone.story


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_right_secret_is_found_by_its_next_generation(place):
    """Everything under the secret itself is lost, and the KeyUpdate too."""
    script = Tls13Script().handshake()
    start = script.data(TO_SERVER, REQUEST)
    script.key_update(TO_SERVER)
    end = script.data(TO_SERVER, b"more")
    log = script.key_log()
    loss = (TO_SERVER, start, end)
    outcome = run(
        script.flights, ring_with_log(others(log) + log if place == "before" else log + others(log)), lost=loss
    )
    assert outcome.plaintext[TO_SERVER] == b"more"
    assert outcome.story == run(script.flights, ring_with_log(log), lost=loss).story


@pytest.mark.parametrize("lost", [20, 200])
def test_bytes_lost_before_the_first_record_are_bounded_alike(lost):
    script = Tls13Script().handshake()
    start = script.offsets[TO_SERVER]
    script.raw(TO_SERVER, bytes(lost))
    script.data(TO_SERVER, REQUEST)
    log = script.key_log()
    loss = (TO_SERVER, start, start + lost)
    alone = run(script.flights, ring_with_log(log), lost=loss)
    assert alone.plaintext[TO_SERVER] == REQUEST
    for text in (others(log) + log, log + others(log)):
        assert run(script.flights, ring_with_log(text), lost=loss).story == alone.story


def test_a_damaged_first_record_does_not_settle_the_choice():
    script = whole_story()
    log = script.key_log()
    first = next(start for start, _, kind in script.records[TO_CLIENT] if kind != 22 or start > 0)
    damaged = flipped(script.flights, TO_CLIENT, first + 30, 3)
    alone = run(damaged, ring_with_log(log))
    for text in (others(log) + log, log + others(log)):
        assert run(damaged, ring_with_log(text)).plaintext == alone.plaintext


@pytest.mark.parametrize("place", ["before", "after"])
def test_early_data_is_opened_by_the_right_one_of_several_secrets(place):
    script = Tls13Script(0x1303).client_hello(early=True, suites=[0x1301, 0x1302, 0x1303])
    script.early_data(b"early")
    script.plaintext[TO_SERVER] += b"early"
    script.server_hello(psk=True).server_flight(early=True, certificate=False)
    talk(script.client_flight(early=True))
    log = script.key_log()
    assert_read(script, others(log) + log if place == "before" else log + others(log))
    assert_read(script, log.replace("\n", "0" * 64 + "\n"))


@pytest.mark.parametrize("suite", list(SUITES))
@pytest.mark.parametrize("size", [48, 64, 128, 500])
def test_zeros_behind_a_secret_are_filling(suite, size):
    script = talk(Tls13Script(suite).handshake())
    filled = re.sub(r"[0-9a-f]+$", lambda match: match[0].ljust(2 * size, "0"), script.key_log(), flags=re.MULTILINE)
    assert_read(script, filled)
    assert_read(script, others(script.key_log()) + filled)


def test_anything_but_zeros_behind_a_secret_makes_it_another():
    script = talk(Tls13Script().handshake())
    outcome = run(script.flights, ring_with_log(script.key_log().replace("\n", "01\n")))
    assert outcome.plaintext == (b"", b"")
    assert outcome.verdict(log=True, keys=False) == ("opaque", "key-log-lacks-session")


@given(st.binary(min_size=1, max_size=64), st.integers(0, 64), st.integers(1, 80))
def test_a_secret_has_a_size_if_only_zeros_exceed_it(secret, zeros, size):
    found = secret_of_size(secret + bytes(zeros), size)
    if found is None:
        assert size > len(secret) + zeros or any(secret[size:])
    else:
        assert len(found) == size
        assert found.ljust(len(secret) + zeros, b"\0") == secret + bytes(zeros)


def test_only_so_many_secrets_of_one_label_are_tried():
    script = talk(Tls13Script().handshake())
    wrong = "".join(others(script.key_log()) for _ in range(limits.MAX_SECRETS_PER_IDENTIFIER - 1))
    assert_read(script, wrong + script.key_log())
    outcome = run(script.flights, ring_with_log(wrong + others(script.key_log()) + script.key_log()))
    assert outcome.plaintext == (b"", b"")


# -- up to TLS 1.2 -----------------------------------------------------------------------------------------------------

VERSIONS = [(0x0301, "AES128-SHA"), (0x0303, "AES128-SHA"), (0x0303, "ECDHE-RSA-AES256-GCM-SHA384")]


def master_lines(recording):
    return "".join(f"{line}\n" for line in recording.key_log.splitlines() if line.startswith("CLIENT_RANDOM"))


def assert_recording_is_read(recording, ring, **options):
    outcome = run(recording.flights, ring, **options)
    assert outcome.plaintext == recording.plaintext
    assert outcome.codes == []
    return outcome


@pytest.mark.parametrize(("version", "suite"), VERSIONS)
def test_the_master_secret_that_opens_is_the_right_one(version, suite):
    recording = record_session(version, suite)
    log = master_lines(recording)
    for text in (log + others(log), others(log) + log, others(log, bytes) + log + others(log)):
        assert_recording_is_read(recording, ring_with_log(text))


@pytest.mark.parametrize(("version", "suite"), VERSIONS)
def test_zeros_behind_a_master_secret_are_filling(version, suite):
    recording = record_session(version, suite)
    assert_recording_is_read(recording, ring_with_log(master_lines(recording).replace("\n", "0" * 32 + "\n")))


def test_a_master_secret_that_opens_nothing_does_not_displace_the_private_key():
    recording = record_session(0x0303, "AES128-SHA")
    ring = ring_with_log(others(master_lines(recording)))
    ring.add_private_key(server_private_key(), 3)
    assert assert_recording_is_read(recording, ring).session.key_sources == {3}


def test_a_premaster_secret_that_opens_nothing_does_not_displace_the_private_key():
    recording = record_session(0x0303, "AES128-SHA")
    client_random = recording.stream(0)[11:43].hex()
    ring = ring_with_log(f"PMS_CLIENT_RANDOM {client_random} {os.urandom(48).hex()}")
    ring.add_private_key(server_private_key(), 3)
    assert assert_recording_is_read(recording, ring).session.key_sources == {3}


def test_several_premaster_secrets_of_one_key_exchange_are_all_tried():
    recording = record_session(0x0303, "AES128-SHA")
    log = "".join(f"{line}\n" for line in recording.key_log.splitlines() if line.startswith("RSA "))
    assert log
    for text in (log + others(log), others(log) + log, log.replace("\n", "00" * 16 + "\n")):
        assert_recording_is_read(recording, ring_with_log(text))


@pytest.mark.parametrize("filling", [0, 1, 16, 100])
def test_zeros_behind_a_premaster_secret_of_unknown_size_may_be_filling(filling):
    secret = b"\7" * 32
    ring = ring_with_log(f"PMS_CLIENT_RANDOM {RANDOM} {secret.hex()}{'00' * filling}")
    found = [premaster for premaster, _ in ring.premasters_by_random(bytes.fromhex(RANDOM))]
    assert secret in found
    assert found[0] == secret + bytes(filling)


# -- sessions without an id --------------------------------------------------------------------------------------------


def without_id(recording):
    """The session in the form of s_client, which prints no id where the server gave none."""
    return re.sub(r"CLIENT_RANDOM [0-9a-f]+ ", "RSA Session-ID: Master-Key:", master_lines(recording))


def test_a_master_secret_without_a_session_id_opens_the_session_it_belongs_to():
    recordings = [record_session(0x0303, "ECDHE-RSA-AES128-SHA") for _ in range(3)]
    ring = ring_with_log("".join(map(without_id, recordings)))
    for recording in recordings:
        assert_recording_is_read(recording, ring)


def test_a_master_secret_without_a_session_id_opens_a_session_resumed_by_a_ticket():
    peer = TlsPeer(0x0303, "ECDHE-RSA-AES128-SHA")
    first = peer.record([])
    second = peer.record([(TO_SERVER, REQUEST)], resume=True)
    assert second.resumed
    assert_recording_is_read(second, ring_with_log(without_id(first)), cache=SessionCache())


def test_a_guess_that_opens_nothing_is_not_called_a_key_that_failed():
    recording = record_session(0x0303, "ECDHE-RSA-AES128-SHA")
    ring = ring_with_log(without_id(record_session(0x0303, "ECDHE-RSA-AES128-SHA")))
    assert run(recording.flights, ring).verdict(log=True, keys=False) == ("opaque", "forward-secrecy")
    wrong = ring_with_log(others(master_lines(recording)))
    assert run(recording.flights, wrong).verdict(log=True, keys=False) == ("opaque", "mac-failure")


def test_a_session_with_an_id_is_not_opened_by_guesses():
    recording = record_session(0x0303, "ECDHE-RSA-AES128-SHA", tickets=False)
    assert run(recording.flights, ring_with_log(without_id(recording))).plaintext == (b"", b"")


def test_only_so_many_secrets_without_an_id_are_kept(monkeypatch):
    monkeypatch.setattr(limits, "MAX_SECRETS_WITHOUT_IDENTIFIER", 30)
    ring = KeyRing()
    lines = "".join(f"RSA Session-ID: Master-Key:{number:096x}\n" for number in range(40))
    assert ring.add_key_log(lines.encode(), 0) == (40, [])
    assert len(ring.master_secrets_by_session_id(b"")) == 30


# -- words around the fields -------------------------------------------------------------------------------------------

LINE = f"CLIENT_RANDOM {RANDOM} {SECRET}"


@pytest.mark.parametrize(
    "line",
    [
        f"Aug 20 10:00:00 gw sslkeylog[811]: {LINE}",
        f"<134>1 2026-08-20T10:00:00Z gw app - - - {LINE}",
        f"2026-08-20T10:00:00Z stdout F {LINE}",
        f"[RSA] INFO: {LINE}",
        f"CLIENT_RANDOM: {LINE}",
        f"\x1b[0m{LINE}\x1b[0m",
        f"{LINE} # mail client",
        f"{LINE}; a remark",
        f"{LINE}\t2026-08-20",
        f'"{LINE}"',
        f'"CLIENT_RANDOM" "{RANDOM}" "{SECRET}"',
        f"CLIENT_RANDOM,{RANDOM},{SECRET}",
        f"'CLIENT_RANDOM', '{RANDOM}', '{SECRET}',",
        f'{{"log":"{LINE}\\n","stream":"stdout"}}',
        f"CLIENT_RANDOM\t{RANDOM}   {SECRET}",
        f"\ufeff{LINE}",
        f"  > {LINE}",
        f"{LINE}{'00' * 16}",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_words_around_label_and_fields_do_not_matter(line, encoding, newline):
    ring = KeyRing()
    assert ring.add_key_log(f"{newline}{line}{newline}".encode(encoding), 0) == (1, [])
    assert ring.master_secrets(bytes.fromhex(RANDOM)) == ((bytes.fromhex(SECRET), 0),)


@pytest.mark.parametrize(
    "line",
    [f"at 10:00 RSA Session-ID:{RANDOM} Master-Key:{SECRET} end", f"RSA Session-ID: {RANDOM}   Master-Key: {SECRET}"],
)
def test_words_around_the_line_of_a_session_do_not_matter(line):
    ring = KeyRing()
    assert ring.add_key_log(line.encode(), 0) == (1, [])
    assert ring.master_secrets_by_session_id(bytes.fromhex(RANDOM)) == ((bytes.fromhex(SECRET), 0),)


def test_several_secrets_in_one_line_are_all_read():
    other = f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {'c3' * 32}"
    ring = KeyRing()
    assert ring.add_key_log(f"{LINE} {other} CLIENT_RANDOM {RANDOM} cut\n".encode(), 0) == (2, [])
    assert ring.master_secrets(bytes.fromhex(RANDOM))
    assert ring.secrets(bytes.fromhex(RANDOM), "CLIENT_TRAFFIC_SECRET_0")


@pytest.mark.parametrize(
    "line", [f"MY_{LINE}", f"#{LINE}", f"# at 10:00 {LINE}", f"{LINE}zz", f"CLIENT_RANDOM_{RANDOM} {SECRET}"]
)
def test_what_is_no_line_of_a_key_log_gives_no_secret(line):
    ring = KeyRing()
    assert ring.add_key_log(line.encode(), 0)[0] == 0
    assert repr(ring) == "KeyRing(0 private keys, 0 secrets)"


@settings(max_examples=200)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Lu", "Cc", "Zl", "Zp"]), max_size=30),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30),
)
def test_a_secret_is_read_whatever_words_are_around_it(before, after):
    ring = KeyRing()
    before = before.replace("#", "").replace("_", "").replace("\0", "")
    assert ring.add_key_log(f"{before} {LINE} {after}".encode(), 0)[0] >= 1
    assert ring.master_secrets(bytes.fromhex(RANDOM))
