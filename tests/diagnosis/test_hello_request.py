"""The size by which a HelloRequest is known without keys, held against records that OpenSSL and tlslite-ng made."""

from __future__ import annotations

import pytest

from easpcap.diagnosis.hello_request import hello_request_sizes
from easpcap.diagnosis.inference import hidden_renegotiations
from easpcap.pipeline import analyze
from easpcap.stream import TO_SERVER
from easpcap.tls.handshake.verdict import version_name
from easpcap.tls.secrets.schedule import epoch_keys
from easpcap.tls.suites.registry import DEPLOYED, REGISTERED
from easpcap.tls.suites.suite import suite
from tests.pipeline.captures import CAPTURES, KEY
from tests.support.record_writer import RecordWriter
from tests.support.tls_peer import record_session, record_tlslite
from tests.support.tls_runs import run

APPLICATION_DATA = 23
PING = [(TO_SERVER, b"ping")]  # as long as a HelloRequest, and protected the same way


def last_record_size(flights):
    """Fragment size of the last record of application data; before it OpenSSL may put an empty one (TLS 1.0)."""
    stream = b"".join(flight for way, flight in flights if way == TO_SERVER)
    at, size = 0, None
    while at < len(stream):
        length = int.from_bytes(stream[at + 3 : at + 5], "big")
        size = length if stream[at] == APPLICATION_DATA else size
        at += 5 + length
    return size


def sizes_of(flights):
    session = run(flights).session
    return hello_request_sizes(version_name(session.version), session.suite.name)


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303])
@pytest.mark.parametrize("etm", [True, False])
@pytest.mark.parametrize("ciphers", ["AES128-SHA", "AES256-SHA", "CAMELLIA128-SHA", "NULL-SHA"])
def test_openssl_from_tls_1_0_on(version, etm, ciphers):
    flights = record_session(version, ciphers, PING, encrypt_then_mac=etm).flights
    assert last_record_size(flights) in sizes_of(flights)


TLS12 = [
    "AES128-SHA256", "AES256-SHA256", "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "CAMELLIA256-SHA256",
    "ECDHE-RSA-CAMELLIA256-SHA384", "NULL-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ARIA128-GCM-SHA256", "AES128-CCM", "AES256-CCM", "AES128-CCM8", "AES256-CCM8",
    "ECDHE-RSA-CHACHA20-POLY1305",
]  # fmt: skip


@pytest.mark.parametrize("ciphers", TLS12)
@pytest.mark.parametrize("etm", [True, False])
def test_openssl_in_tls_1_2(ciphers, etm):
    flights = record_session(0x0303, ciphers, PING, encrypt_then_mac=etm).flights
    assert last_record_size(flights) in sizes_of(flights)


@pytest.mark.parametrize(
    ("version", "cipher", "mac"),
    [
        (0x0300, "rc4", "md5"), (0x0300, "rc4", "sha"), (0x0300, "3des", "sha"), (0x0300, "aes128", "sha"),
        (0x0301, "rc4", "md5"), (0x0301, "3des", "sha"), (0x0302, "3des", "sha"), (0x0303, "3des", "sha"),
    ],
)  # fmt: skip
def test_tlslite_for_what_openssl_no_longer_speaks(version, cipher, mac):
    split = version <= 0x0301 and cipher != "rc4"  # its defence against BEAST: a record of one byte goes before
    flights = record_tlslite(version, cipher, mac, [(TO_SERVER, b"?" * split + b"ping")]).flights
    assert last_record_size(flights) in sizes_of(flights)


SUITES = [value for value in REGISTERED | DEPLOYED if suite(value).decryptable and value and value >> 8 != 0x13]


def spoken(version, chosen):
    """Whether a version knows a suite: AEAD, SHA-256 and SHA-384 came with TLS 1.2, HMAC with TLS 1.0."""
    later = {"AEAD", "SHA384", "SHA256"} if version < 0x0303 else set()
    return chosen.mac not in later


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303])
@pytest.mark.parametrize("etm", [True, False])
def test_a_hello_request_is_recognised_by_its_size_in_every_suite_easpcap_decrypts(version, etm):
    """Export suites and others that no library speaks: the writer of the tests protects a HelloRequest under each."""
    for chosen in filter(lambda chosen: spoken(version, chosen), map(suite, SUITES)):
        if etm and (version == 0x0300 or "CBC" not in chosen.cipher):
            continue
        keys, _ = epoch_keys(version, chosen, bytes(48), bytes(32), bytes(32))
        fragment = RecordWriter(version, chosen, keys, encrypt_then_mac=etm).fragment(22, bytes(4))
        sizes = hello_request_sizes(version_name(version), chosen.name)
        assert len(fragment) in sizes, chosen.name
        assert len(sizes) <= 2


def test_tls_1_2_suites_have_no_hello_request_size_in_older_versions():
    for name in (
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_128_CCM",
        "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ):
        assert hello_request_sizes("TLS 1.1", name) == frozenset()


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_without_a_key_no_other_record_is_taken_for_a_hello_request(path):
    """What is recognised without the key is in the frames where the key shows a HelloRequest."""
    with_key, without = analyze([str(path)], keys=[KEY]), analyze([str(path)])
    for opened, opaque in zip(with_key.connections, without.connections, strict=True):
        true = {fact.position.frame for fact in opened.facts if fact.kind == "hello-request"}
        if opened.decryption.status != "decrypted":
            continue
        recognised = {hidden.hello.first.frame for hidden in hidden_renegotiations(opaque)}
        assert recognised <= true
        renegotiations = opened.tls.renegotiations if opened.tls else []
        assert {each.position.frame for each in renegotiations if each.by == "server"} <= recognised
