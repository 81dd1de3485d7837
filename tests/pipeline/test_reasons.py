"""Every reason of the verdict, from the bytes of a capture through the whole program."""

from __future__ import annotations

import io
from hashlib import sha1

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from easpcap.capture import open_capture
from easpcap.pipeline import Analyzer
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.handshake.verdict import Unsupported
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.suites.registry import DEPLOYED, REGISTERED
from easpcap.tls.suites.suite import suite
from tests.support.packets import pcap_bytes
from tests.support.tls_peer import record_session, server_certificate_der, server_private_key
from tests.support.tls_runs import flipped, ring_with_key, ring_with_log, run
from tests.support.tls_script import TlsScript
from tests.support.wire_of import packets_of

NO_KEY = KeyRing()


def talk(version=0x0303, value=0x002F, **options):
    script = TlsScript(version, value, **options).full(session_id=b"s" * 32)
    script.data(TO_SERVER, b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    script.data(TO_CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    return script


def analysed(flights, keyring=None, *, leave_out=(), snap=None):
    """The connection as the whole program sees it; ``leave_out`` names frames that the capture lacks."""
    packets = [packet for number, packet in enumerate(packets_of(flights), 1) if number not in leave_out]
    if snap:
        packets = [(number * 1000, packet[:snap], len(packet)) for number, packet in enumerate(packets)]
    analyzer = Analyzer(ring_with_key() if keyring is None else keyring)
    for batch in open_capture(io.BytesIO(pcap_bytes(packets))):
        analyzer.feed(batch)
    [connection] = analyzer.finish().connections
    return connection


def verdict(*arguments, **options):
    decryption = analysed(*arguments, **options).decryption
    return decryption.status, decryption.reason


def other_key():
    ring = KeyRing()
    ring.add_private_key(rsa.generate_private_key(65537, 2048), 0)
    return ring


def other_log():
    return ring_with_log(f"CLIENT_RANDOM {'11' * 32} {'22' * 48}\n")


# -- one capture for each reason -------------------------------------------------------------------------------------


def test_decrypted_plaintext_and_none():
    script = talk()
    assert verdict(script.flights) == ("decrypted", None)
    assert verdict(TlsScript().full().flights) == ("none", None)
    assert verdict([(TO_SERVER, b"GET / HTTP/1.1\r\n\r\n")]) == ("plaintext", None)


def test_handshake_not_captured():
    script = talk()
    later = [flight for flight in script.flights if flight[1][0] == 23]
    assert verdict(later) == ("opaque", "handshake-not-captured")


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_one_direction_missing(direction):
    flights = talk().flights
    lacking = {n for n, packet in enumerate(packets_of(flights), 1) if from_direction(packet) == direction}
    assert verdict(flights, leave_out=lacking) == ("opaque", "one-direction-missing")


def from_direction(packet):
    """By the source port after an Ethernet and an IPv4 header."""
    return TO_SERVER if packet[34:36] == (50000).to_bytes(2, "big") else TO_CLIENT


def test_gap_and_truncated_packets():
    flights = talk(extended_master=True).flights
    assert verdict(flights, leave_out={5}) == ("opaque", "gap")  # the ServerHello
    assert verdict(flights, snap=200) == ("opaque", "truncated-packets")


def test_resumed_session_not_captured():
    first = talk()
    script = TlsScript().abbreviated(first.master, session_id=b"s" * 32)
    script.data(TO_SERVER, b"GET / HTTP/1.1\r\n\r\n")
    assert verdict(script.flights) == ("opaque", "resumed-session-not-captured")


@pytest.mark.parametrize("value", [0xC03C, 0xC050, 0xC07A, 0xC100, 0xC0FE])
def test_the_verdict_has_the_unsupported_suite(value):
    script = talk()
    chosen = value.to_bytes(2, "big")
    flights = [
        (way, flight.replace(b"s" * 32 + b"\x00\x2f\x00", b"s" * 32 + chosen + b"\x00", 1))
        for way, flight in script.flights
    ]
    decryption = analysed(flights).decryption
    assert (decryption.status, decryption.reason) == ("opaque", "unsupported-suite")
    assert decryption.unsupported == Unsupported("TLS 1.2", suite(value).name)


def test_an_unknown_compression_method_is_unsupported():
    script = talk()
    flights = [
        (way, flight.replace(b"s" * 32 + b"\x00\x2f\x00", b"s" * 32 + b"\x00\x2f\x40", 1))
        for way, flight in script.flights
    ]
    decryption = analysed(flights).decryption
    assert (decryption.status, decryption.reason) == ("opaque", "unsupported-suite")
    supported = Unsupported("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA", suite_supported=True, compression=64)
    assert decryption.unsupported == supported


def test_forward_secrecy_with_and_without_a_key_log():
    flights = record_session(0x0303, "ECDHE-RSA-AES128-GCM-SHA256").flights
    without, beside = analysed(flights).decryption, analysed(flights, other_log()).decryption
    assert (without.status, without.reason) == (beside.status, beside.reason) == ("opaque", "forward-secrecy")
    assert (without.key_log_given, beside.key_log_given) == (False, True)


def test_key_log_reasons():
    flights = record_session(0x0304).flights
    assert verdict(flights) == ("opaque", "needs-key-log")
    assert verdict(flights, other_log()) == ("opaque", "key-log-lacks-session")


def test_key_reasons():
    flights = talk().flights
    assert verdict(flights, NO_KEY) == ("opaque", "no-key")
    assert verdict(flights, other_key()) == ("opaque", "key-mismatch")


@pytest.mark.parametrize("ring", [NO_KEY, other_key()])
def test_the_certificate_whose_key_is_needed_is_identified_by_its_thumbprint(ring):
    thumbprint = sha1(server_certificate_der(), usedforsecurity=False).hexdigest().upper()
    assert analysed(talk().flights, ring).decryption.thumbprint == thumbprint
    assert analysed(talk(value=0xC02F).flights, ring).decryption.thumbprint is None


def test_labels_that_a_key_log_lacks_are_listed_once():
    recording = record_session(0x0304)
    lines = [line for line in recording.key_log.splitlines() if "CLIENT_TRAFFIC_SECRET" not in line]
    decryption = analysed(recording.flights, ring_with_log("\n".join(lines))).decryption
    assert decryption.reason == "key-log-lacks-session"
    assert decryption.missing_secrets == ("CLIENT_TRAFFIC_SECRET_0",)
    assert not decryption.record_types_hidden


def test_without_secrets_tls13_hides_the_record_types():
    flights = record_session(0x0304).flights
    assert analysed(flights).decryption.record_types_hidden
    assert analysed(flights, other_log()).decryption.record_types_hidden
    assert not analysed(talk(value=0x00A8).flights, other_log()).decryption.record_types_hidden


def test_mac_failure():
    script = talk()
    wrong = ring_with_log(f"CLIENT_RANDOM {script.client_random.hex()} {'22' * 48}\n")
    assert verdict(script.flights, wrong) == ("opaque", "mac-failure")


# -- by key exchange -------------------------------------------------------------------------------------------------

EXCHANGES = {
    0x000D: "needs-key-log",  # DH_DSS, static
    0x0031: "needs-key-log",  # DH_RSA
    0xC004: "needs-key-log",  # ECDH_ECDSA
    0xC00E: "needs-key-log",  # ECDH_RSA
    0x008C: "needs-key-log",  # PSK
    0x0094: "needs-key-log",  # RSA_PSK
    0x0090: "forward-secrecy",  # DHE_PSK
    0xC035: "forward-secrecy",  # ECDHE_PSK
    0x0018: "forward-secrecy",  # DH_anon with RC4
    0xC018: "forward-secrecy",  # ECDH_anon
    0x0033: "forward-secrecy",  # DHE_RSA
    0xC013: "forward-secrecy",  # ECDHE_RSA
    0x001F: "needs-key-log",  # Kerberos
    0xC01D: "needs-key-log",  # SRP
}


@pytest.mark.parametrize("value", EXCHANGES)
def test_other_key_exchanges_need_the_key_log_and_are_opened_by_it(value):
    script = talk(value=value)
    assert verdict(script.flights) == ("opaque", EXCHANGES[value])
    opened = run(script.flights, ring_with_log(script.key_log))
    assert opened.plaintext == (bytes(script.plaintext[0]), bytes(script.plaintext[1]))
    by_session = f"RSA Session-ID:{(b's' * 32).hex()} Master-Key:{script.master.hex()}\n"
    assert run(script.flights, ring_with_log(by_session)).plaintext == opened.plaintext
    by_premaster = f"PMS_CLIENT_RANDOM {script.client_random.hex()} {script.premaster.hex()}\n"
    assert run(script.flights, ring_with_log(by_premaster)).plaintext == opened.plaintext


@pytest.mark.parametrize("extended", [True, False])
def test_openssl_without_certificates_is_opened_by_the_key_log(extended):
    for ciphers in ("AECDH-AES128-SHA", "AECDH-AES256-SHA", "AECDH-NULL-SHA"):
        recording = record_session(0x0303, ciphers, extended_master_secret=extended)
        assert run(recording.flights, ring_with_log(recording.key_log)).plaintext == recording.plaintext


def test_every_suite_of_the_registry_is_named():
    for value in REGISTERED | DEPLOYED:
        assert suite(value).name.startswith(("TLS_", "SSL_"))


# -- certificates that are cut or absent -----------------------------------------------------------------------------


@pytest.mark.parametrize("certificates", [None, [], [b"0\x82\x03"], [b""]])
def test_without_a_readable_certificate_the_keys_that_fit_by_size_are_tried(certificates):
    script = TlsScript()
    script.certificates = certificates
    script.full()
    script.data(TO_SERVER, b"body")
    ring = KeyRing()
    ring.add_private_key(rsa.generate_private_key(65537, 1024), 0)
    ring.add_private_key(rsa.generate_private_key(65537, 2048), 1)
    ring.add_private_key(server_private_key(), 2)
    outcome = run(script.flights, ring)
    assert outcome.plaintext[0] == b"body"
    assert outcome.session.key_sources == {2}


# -- where it stopped ------------------------------------------------------------------------------------------------


def body(number):
    return b"%04d" % number * 400


def upload(*, renegotiate=False):
    """Twelve records in separate frames, with a renegotiation in the middle if asked for."""
    script = TlsScript().full()
    starts = []
    for number in range(12):
        if renegotiate and number == 8:
            script.full(ask_certificate=True)
        starts.append(script.data(TO_SERVER, body(number)))
    return script, starts


def test_a_partial_verdict_has_the_frame_where_decryption_stopped():
    script, starts = upload()
    frame = frame_of(script.flights, starts[3])
    script.flights = flipped(script.flights, TO_SERVER, starts[3] + 20, 0)
    decryption = analysed(script.flights).decryption
    assert (decryption.status, decryption.reason) == ("partial", "mac-failure")
    assert decryption.first_undecrypted == (TO_SERVER, starts[3], frame)
    assert decryption.decrypted_later


def test_decryption_goes_on_after_a_gap_and_through_a_later_full_handshake():
    script, starts = upload(renegotiate=True)
    lost = frame_of(script.flights, starts[3])
    connection = analysed(script.flights, leave_out={lost})
    decryption = connection.decryption
    assert (decryption.status, decryption.reason) == ("partial", "gap")
    assert decryption.first_undecrypted.direction == TO_SERVER
    assert decryption.decrypted_later
    [renegotiation] = connection.tls.renegotiations
    assert renegotiation.outcome == "full"


def test_the_last_frame_missing_is_where_it_stopped_for_good():
    script, starts = upload()
    script.data(TO_CLIENT, b"HTTP/1.1 200 OK\r\n\r\n")
    decryption = analysed(script.flights, leave_out={frame_of(script.flights, starts[11])}).decryption
    assert decryption.status == "partial"
    assert decryption.first_undecrypted[:2] == (TO_SERVER, starts[11])
    assert not decryption.decrypted_later


def frame_of(flights, offset):
    """The frame that holds a byte of the stream to the server; three open the connection."""
    frame, at = 3, 0
    for way, flight in flights:
        for begin in range(0, len(flight), 1400):
            frame += 1
            size = len(flight[begin : begin + 1400])
            if way == TO_SERVER and at <= offset < at + size:
                return frame
            at += size if way == TO_SERVER else 0
    raise AssertionError(offset)


# -- which handshake -------------------------------------------------------------------------------------------------


def renegotiated():
    script = TlsScript(0x0303, 0xC02F).full()
    first = script.key_log
    script.data(TO_SERVER, b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
    script.hello_request()
    script.full(ask_certificate=True)
    script.data(TO_SERVER, b"body")
    script.data(TO_CLIENT, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    return script, first, script.key_log.removeprefix(first)


def test_the_verdict_identifies_the_handshake_whose_line_is_missing():
    script, first, second = renegotiated()
    assert analysed(script.flights, ring_with_log(first + second)).decryption.status == "decrypted"
    later = analysed(script.flights, ring_with_log(first)).decryption
    assert (later.status, later.reason) == ("partial", "forward-secrecy")
    assert (later.later_handshake, later.hides_later_handshake) == (2, False)
    assert later.first_undecrypted is not None
    earlier = analysed(script.flights, ring_with_log(second)).decryption
    assert (earlier.status, earlier.reason) == ("opaque", "forward-secrecy")
    assert (earlier.later_handshake, earlier.hides_later_handshake) == (None, True)
    assert earlier.first_undecrypted is None


def test_with_one_handshake_the_verdict_identifies_none():
    script = talk(value=0xC02F)
    decryption = analysed(script.flights, other_log()).decryption
    assert (decryption.later_handshake, decryption.hides_later_handshake) == (None, False)


def test_a_damaged_finished_does_not_close_a_direction_whose_key_the_other_one_proves():
    script, starts = upload()
    client_finished = starts[0] - 30  # within the record before the first of application data
    script.data(TO_CLIENT, b"HTTP/1.1 200 OK\r\n\r\n")
    outcome = run(flipped(script.flights, TO_SERVER, client_finished, 0))
    assert outcome.plaintext == (bytes(script.plaintext[0]), bytes(script.plaintext[1]))
    assert "tls-bad-mac" in outcome.codes
    assert outcome.verdict()[0] == "decrypted"
