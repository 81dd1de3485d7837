"""The verdict: whether a connection was decrypted, and if not, the first reason that applies."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.handshake.verdict import (
    CaptureLosses,
    KeysGiven,
    Unsupported,
    judge,
    missing_secret_reason,
    unsupported,
    version_name,
    version_named,
)
from easpcap.tls.secrets.keyring import KeyRing
from tests.support.tls_peer import record_session
from tests.support.tls_runs import ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript

OTHER_LOG = f"CLIENT_RANDOM {'11' * 32} {'22' * 48}\n"


def ring_with_other_key():
    keyring = KeyRing()
    keyring.add_private_key(rsa.generate_private_key(65537, 2048), 0)
    return keyring


def one_way(flights, direction):
    return [flight for flight in flights if flight[0] == direction]


@pytest.mark.parametrize(
    ("suite", "keyring", "given", "reason"),
    [
        (0x002F, KeyRing, {"keys": False}, "no-key"),
        (0x002F, ring_with_other_key, {}, "key-mismatch"),
        (0x002F, lambda: ring_with_log(OTHER_LOG), {"keys": False, "log": True}, "key-log-lacks-session"),
        (0xC02F, ring_with_key, {}, "forward-secrecy"),
        (0xC02F, lambda: ring_with_log(OTHER_LOG), {"keys": False, "log": True}, "forward-secrecy"),
        (0x009E, KeyRing, {"keys": False}, "forward-secrecy"),
        (0x00A8, ring_with_key, {}, "needs-key-log"),
        (0x00A8, lambda: ring_with_log(OTHER_LOG), {"keys": False, "log": True}, "key-log-lacks-session"),
    ],
)
def test_without_the_right_key_the_verdict_has_the_reason(suite, keyring, given, reason):
    script = TlsScript(suite_value=suite).full()
    script.data(TO_SERVER, b"secret")
    assert run(script.flights, keyring()).verdict(**given) == ("opaque", reason)


def test_a_connection_without_application_data_is_none_with_and_without_key():
    script = TlsScript().full()
    assert run(script.flights).verdict() == ("none", None)
    assert run(script.flights, KeyRing()).verdict(keys=False) == ("none", None)


def test_an_unsupported_suite_takes_precedence_over_a_missing_key():
    script = TlsScript().full()
    script.data(TO_SERVER, b"secret")
    flights = [
        (way, flight.replace(b"\x00\x2f\x00", b"\xc0\x3c\x00", 1) if way == TO_CLIENT else flight)
        for way, flight in script.flights
    ]
    outcome = run(flights)
    assert outcome.session.suite.name == "TLS_RSA_WITH_ARIA_128_CBC_SHA256"
    assert outcome.verdict()[:2] == ("opaque", "unsupported-suite")


def test_one_direction_is_not_enough():
    script = TlsScript().full()
    script.data(TO_SERVER, b"secret")
    outcome = run(one_way(script.flights, TO_SERVER))
    assert outcome.verdict(seen=(True, False))[:2] == ("opaque", "one-direction-missing")


def test_the_servers_direction_alone_gives_version_and_suite():
    script = TlsScript().full()
    script.data(TO_CLIENT, b"secret")
    outcome = run(one_way(script.flights, TO_CLIENT))
    assert outcome.session.suite.name == "TLS_RSA_WITH_AES_128_CBC_SHA"
    assert outcome.verdict(seen=(False, True))[:2] == ("opaque", "one-direction-missing")


@pytest.mark.parametrize(("truncated", "reason"), [(False, "gap"), (True, "truncated-packets")])
def test_a_gap_in_the_handshake_has_its_cause_as_reason(truncated, reason):
    script = TlsScript(extended_master=True).full()
    script.data(TO_SERVER, b"secret")
    outcome = run(script.flights, lost=(TO_CLIENT, 60, 400))
    assert outcome.verdict(gaps=(0, 340), truncated=truncated)[:2] == ("opaque", reason)
    assert outcome.plaintext == (b"", b"")


def test_without_extended_master_a_gap_in_the_certificate_does_no_harm():
    script = TlsScript().full()
    script.data(TO_SERVER, b"secret")
    outcome = run(script.flights, lost=(TO_CLIENT, 200, 400))
    assert outcome.plaintext[0] == b"secret"
    assert outcome.session.key_sources == {0}


def test_a_wrong_line_in_the_key_log_is_a_mac_failure():
    script = TlsScript().full()
    script.data(TO_SERVER, b"secret")
    wrong = f"CLIENT_RANDOM {script.client_random.hex()} {'22' * 48}\n"
    assert run(script.flights, ring_with_log(wrong)).verdict(keys=False, log=True)[:2] == ("opaque", "mac-failure")


def test_a_damaged_record_among_good_ones_is_partial():
    script = TlsScript().full()
    for _ in range(3):
        script.data(TO_SERVER, b"secret" * 9)
    way, flight = script.flights[-2]
    script.flights[-2] = (way, flight[:-1] + bytes([flight[-1] ^ 1]))
    outcome = run(script.flights)
    assert outcome.plaintext[0] == b"secret" * 18
    assert outcome.codes == ["tls-bad-mac"]
    assert outcome.verdict()[:2] == ("partial", "mac-failure")


@pytest.mark.parametrize("log", [False, True])
def test_tls13_is_recognised_and_needs_its_key_log(log):
    recording = record_session(0x0304)
    outcome = run(recording.flights)
    assert (version_name(outcome.session.version), outcome.session.suite.name[:4]) == ("TLS 1.3", "TLS_")
    reason = "key-log-lacks-session" if log else "needs-key-log"
    assert outcome.verdict(log=log)[:2] == ("opaque", reason)
    assert outcome.plaintext == (b"", b"")
    assert {run.content_type for run in outcome.records} <= {20, 23}


def test_tls13_is_opened_by_its_key_log():
    recording = record_session(0x0304)
    outcome = run(recording.flights, ring_with_log(recording.key_log))
    assert outcome.plaintext == recording.plaintext
    assert outcome.verdict(log=True, keys=False) == ("decrypted", None)


def test_ssl2_is_recognised():
    hello = bytes.fromhex("802e0100020015000000100700c0" + "00" * 34)
    answer = bytes.fromhex("801b0401000000000000001000") + b"\0" * 16
    outcome = run([(TO_SERVER, hello), (TO_CLIENT, answer), (TO_SERVER, b"\x80\x21" + b"x" * 33)])
    assert version_name(outcome.session.version) == "SSL 2.0"
    assert outcome.verdict()[:2] == ("opaque", "unsupported-suite")
    assert outcome.codes == []


SSL2_HELLO = bytes.fromhex("802e0100020015000000100700c0" + "00" * 34)
SSL2_CERTIFICATE = b"not a certificate, but in its place"


def ssl2_answer(kinds):
    """A ServerHello of SSL 2.0 that names these cipher kinds."""
    specs = b"".join(kind.to_bytes(3, "big") for kind in kinds)
    sizes = b"".join(len(part).to_bytes(2, "big") for part in (SSL2_CERTIFICATE, specs, bytes(16)))
    body = b"\4\0\1\0\2" + sizes + SSL2_CERTIFICATE + specs + bytes(16)
    return (0x8000 | len(body)).to_bytes(2, "big") + body


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize(
    ("kinds", "key", "name"),
    [
        ([0x010080], b"", "SSL_CK_RC4_128_WITH_MD5"),
        ([0x010080, 0x0700C0], bytes.fromhex("80920207 00c0 0000 0080 0008"), "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"),
        ([0x010080, 0x0700C0], bytes.fromhex("8092 99 0700c0 0000"), None),
        ([], b"", None),
    ],
)
def test_the_cipher_of_ssl2_is_known_if_it_is_in_the_clear(kinds, key, name, step):
    flights = [(TO_SERVER, SSL2_HELLO), (TO_CLIENT, ssl2_answer(kinds)), (TO_SERVER, key + bytes(130))]
    session = run(flights, step=step).session
    assert (session.suite and session.suite.name) == name
    assert session.server_certificate == SSL2_CERTIFICATE
    assert run(flights, step=step).verdict() == ("opaque", "unsupported-suite")
    assert unsupported(session) == Unsupported("SSL 2.0", name)


def test_a_broken_ssl2_hello_is_still_ssl2():
    outcome = run([(TO_SERVER, SSL2_HELLO), (TO_CLIENT, bytes.fromhex("8009 04 00 01 0002 ffff ffff"))])
    assert version_name(outcome.session.version) == "SSL 2.0"


@pytest.mark.parametrize(
    ("version", "name"), [(None, None), (0x0300, "SSL 3.0"), (0x0303, "TLS 1.2"), (0x0399, "0x0399")]
)
def test_versions_have_names(version, name):
    assert version_name(version) == name


@pytest.mark.parametrize("version", [None, 0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304])
def test_a_name_gives_its_version_back(version):
    assert version_named(version_name(version)) == version
    assert version_named("0x0399") is None


# -- the order of the reasons ----------------------------------------------------------------------------------------


def handshake(*, version=0x0303, decryptable=True, forward_secret=False, rsa=True, draft=0, **facts):
    """What the verdict reads of a handshake: one with RSA key exchange for which no secret was found."""
    agreed = SimpleNamespace(
        version=version,
        suite=SimpleNamespace(decryptable=decryptable, forward_secret=forward_secret, rsa_key_transport=rsa),
        draft=draft,
        extended_master=False,
        compression=0,
    )
    values = {
        "agreement": agreed,
        "abbreviated": False,
        "has_candidates": False,
        "origin": None,
        "unsupported": False,
        "failed": False,
        "ephemeral_key": False,
        "client_key_exchange_seen": True,
        "transcript_complete": True,
        "certificate_matches_key": False,
    }
    return SimpleNamespace(**(values | facts))


NOTHING, KEYS, LOG = KeysGiven(False, False), KeysGiven(True, False), KeysGiven(False, True)

REASONS = [
    ({"agreement": None, "abbreviated": True}, KEYS, "handshake-not-captured"),
    ({"abbreviated": True, "decryptable": False}, KEYS, "resumed-session-not-captured"),
    ({"abbreviated": True, "origin": SimpleNamespace(reason="no-key")}, KEYS, "no-key"),
    ({"abbreviated": True, "origin": SimpleNamespace(reason=None)}, KEYS, "resumed-session-not-captured"),
    ({"decryptable": False, "failed": True}, KEYS, "unsupported-suite"),
    ({"unsupported": True, "failed": True}, KEYS, "unsupported-suite"),
    ({"version": 0x0304, "unsupported": True}, KEYS, "needs-key-log"),
    ({"version": 0x0304, "draft": 17}, LOG, "unsupported-suite"),
    ({"version": 0x0304, "draft": 18}, LOG, "key-log-lacks-session"),
    ({"failed": True, "forward_secret": True}, KEYS, "key-mismatch"),
    ({"failed": True, "certificate_matches_key": None}, KEYS, "key-mismatch"),
    ({"failed": True, "certificate_matches_key": True}, KEYS, "mac-failure"),
    ({"failed": True}, LOG, "mac-failure"),
    ({"failed": True, "abbreviated": True, "has_candidates": True}, KEYS, "mac-failure"),
    ({"forward_secret": True}, LOG, "forward-secrecy"),
    ({"ephemeral_key": True}, KEYS, "forward-secrecy"),
    ({"ephemeral_key": True, "rsa": False}, KEYS, "needs-key-log"),
    ({"version": 0x0304, "forward_secret": True}, KEYS, "needs-key-log"),
    ({"rsa": False}, LOG, "key-log-lacks-session"),
    ({"certificate_matches_key": True, "client_key_exchange_seen": False}, KEYS, "gap"),
    ({"certificate_matches_key": True, "transcript_complete": False}, KEYS, "mac-failure"),
    ({"certificate_matches_key": True}, KEYS, "mac-failure"),
    ({}, LOG, "key-log-lacks-session"),
    ({}, KeysGiven(True, True), "key-log-lacks-session"),
    ({}, KEYS, "key-mismatch"),
    ({}, NOTHING, "no-key"),
]


@pytest.mark.parametrize(("facts", "given", "reason"), REASONS)
def test_the_first_reason_that_applies_to_a_handshake_is_given(facts, given, reason):
    assert missing_secret_reason(handshake(**facts), given) == reason


def test_a_lost_handshake_message_makes_the_extended_master_secret_unknown():
    negotiation = handshake(certificate_matches_key=True, transcript_complete=False)
    negotiation.agreement.extended_master = True
    assert missing_secret_reason(negotiation, KEYS) == "gap"


def connection(*, opened=0, opaque=1, **facts):
    """What the verdict reads of a connection: by default one whose only record was not decrypted."""
    values = {
        "application_records": [opened, 0],
        "opaque_records": [0, opaque],
        "gap_in_data": False,
        "gap_in_handshake": False,
        "client_hello_seen": True,
        "server_hello_seen": True,
        "version": 0x0303,
        "handshake_without_keys": handshake(),
    }
    return SimpleNamespace(**(values | facts))


LOST, CUT, ONE_WAY = CaptureLosses(gaps=(0, 1)), CaptureLosses(True, (0, 1)), CaptureLosses(seen=(True, False))

VERDICTS = [
    ({"opaque": 0}, CUT, "none", None),
    ({"opened": 1, "opaque": 0}, CUT, "decrypted", None),
    ({"opened": 1, "opaque": 0, "gap_in_data": True}, LOST, "partial", "gap"),
    ({"opened": 1, "gap_in_handshake": True}, CUT, "partial", "truncated-packets"),
    ({"opened": 1}, CUT, "partial", "key-mismatch"),
    ({"version": 2}, ONE_WAY, "opaque", "unsupported-suite"),
    ({"server_hello_seen": False}, CaptureLosses(), "opaque", "handshake-not-captured"),
    ({"server_hello_seen": False}, ONE_WAY, "opaque", "one-direction-missing"),
    ({"server_hello_seen": False, "client_hello_seen": False}, ONE_WAY, "opaque", "handshake-not-captured"),
    ({"server_hello_seen": False, "gap_in_handshake": True}, LOST, "opaque", "gap"),
    ({"gap_in_handshake": True}, ONE_WAY, "opaque", "one-direction-missing"),
    ({"gap_in_handshake": True}, CUT, "opaque", "truncated-packets"),
    ({"handshake_without_keys": None}, LOST, "opaque", "gap"),
    ({"handshake_without_keys": None}, CaptureLosses(), "opaque", "mac-failure"),
    ({"handshake_without_keys": None, "gap_in_data": True}, CaptureLosses(), "opaque", "gap"),
    ({}, LOST, "opaque", "key-mismatch"),
]


@pytest.mark.parametrize(("facts", "losses", "status", "reason"), VERDICTS)
def test_losses_of_the_capture_are_reasons_before_missing_keys(facts, losses, status, reason):
    assert judge(connection(**facts), losses, KEYS) == (status, reason)
