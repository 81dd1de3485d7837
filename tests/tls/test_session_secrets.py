"""The secrets of the sessions are collected for a second tool, and shown to nobody."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_SERVER, Data
from easpcap.tls.secrets.key_log import Secret, parse_key_log
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.secrets.session_cache import SessionCache
from easpcap.tls.secrets.session_secrets import SessionSecrets
from easpcap.tls.session.session import TlsSession
from tests.support.tls13_script import Tls13Script
from tests.support.tls_script import TlsScript

RANDOM, MASTER, OTHER = b"R" * 32, b"M" * 48, b"O" * 48


def collected(secrets):
    return {(line.label, line.identifier): line.secret for line in parse_key_log(b"".join(secrets.key_log_lines()))}


def read(flights, key_log):
    """The secrets that a session found on its way through the flights of a script."""
    ring, secrets = KeyRing(), SessionSecrets()
    ring.add_key_log(key_log.encode(), 0)
    session = TlsSession(ring, SessionCache(), "server", (0, 0), secrets)
    offsets = [0, 0]
    for direction, flight in flights:
        session.feed(Data(direction, offsets[direction], flight))
        offsets[direction] += len(flight)
    return collected(secrets)


def lines_of(key_log):
    return {
        (line.label, line.identifier): line.secret
        for line in parse_key_log(key_log.encode())
        if isinstance(line, Secret)
    }


def test_a_proven_secret_replaces_a_candidate_and_is_not_replaced():
    secrets = SessionSecrets()
    secrets.add("CLIENT_RANDOM", RANDOM, OTHER, proven=False)
    secrets.add("CLIENT_RANDOM", RANDOM, b"N" * 48, proven=False)
    assert collected(secrets) == {("CLIENT_RANDOM", RANDOM): OTHER}
    secrets.add("CLIENT_RANDOM", RANDOM, MASTER, proven=True)
    secrets.add("CLIENT_RANDOM", RANDOM, OTHER, proven=True)
    assert collected(secrets) == {("CLIENT_RANDOM", RANDOM): MASTER}


def test_what_exceeds_the_bound_is_counted():
    secrets = SessionSecrets(limit=200)
    for number in range(3):
        secrets.add("CLIENT_RANDOM", bytes([number]) * 32, MASTER, proven=True)
    assert (len(secrets), secrets.dropped) == (1, 2)
    assert sum(map(len, secrets.key_log_lines())) <= 200


def test_its_representation_shows_no_secret():
    secrets = SessionSecrets()
    secrets.add("CLIENT_RANDOM", RANDOM, MASTER, proven=True)
    assert repr(secrets) == "SessionSecrets(1 secrets)"


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303])
def test_every_handshake_of_a_connection_yields_its_master_secret(version):
    script = TlsScript(version, 0x002F).full()
    script.data(TO_SERVER, b"first")
    script.full()  # a renegotiation, under the keys of the first
    found = read(script.flights, script.key_log)
    assert len(found) == 2
    assert found == {key: value for key, value in lines_of(script.key_log).items() if key[0] == "CLIENT_RANDOM"}


def test_tls13_yields_the_traffic_secrets():
    script = Tls13Script()
    script.handshake()
    script.data(TO_SERVER, b"data")
    found = read(script.flights, script.key_log())
    assert found == lines_of(script.key_log("CLIENT_EARLY_TRAFFIC_SECRET"))  # there is no early data
    assert len(found) == 4


def test_without_keys_nothing_is_collected():
    script = TlsScript().full()
    assert read(script.flights, "") == {}
