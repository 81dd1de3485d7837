"""A second opinion on connections written byte by byte: where both agree, and which limitation explains the rest."""

from __future__ import annotations

import shutil

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.support.packets import ACK, pcap_bytes, tcp_packet
from tests.support.tls13_script import Tls13Script
from tests.support.tls_script import TlsScript
from tests.support.wire_of import packets_of, pcap_of
from tests.verify.asking import differences, results, verified, verified_script

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]

GET = b"GET /%d HTTP/1.1\r\nHost: mail.contoso.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def talk(script, *, rounds=2):
    for number in range(rounds):
        script.data(TO_SERVER, GET % number)
        script.data(TO_CLIENT, OK)
    return script


def test_tls_on_another_port(tmp_path):
    script = talk(TlsScript().full())
    verification = verified_script(pcap_of(script.flights, port=4433), script.key_log, tmp_path)
    assert differences(verification) == {}
    assert {("requests"), ("data-to-client")} <= {aspect for _, aspect in results(verification)}


def test_a_port_that_speaks_both_tls_and_clear_text(tmp_path):
    script = talk(TlsScript().full())
    clear = [(TO_SERVER, GET % 7), (TO_CLIENT, OK)]
    capture = pcap_bytes(packets_of(script.flights, port=4433) + packets_of(clear, port=4433, sport=50001))
    verification = verified_script(capture, script.key_log, tmp_path)
    assert differences(verification) == {}
    assert {(0, "requests"), (1, "requests")} <= set(results(verification))


@pytest.mark.parametrize("version", [0x0301, 0x0303])
def test_a_renegotiation_between_two_requests(version, tmp_path):
    script = talk(TlsScript(version).full())
    script.hello_request()
    talk(script.full(ask_certificate=True))
    verification = verified_script(pcap_of(script.flights), script.key_log, tmp_path)
    assert differences(verification) == {}
    (handshakes,) = (each.other for each in verification.comparisons if each.aspect == "handshakes")
    assert (handshakes.client_hellos, handshakes.hello_requests, len(handshakes.server_hellos)) == (2, 1, 2)


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_tls13_and_its_key_updates(suite, tmp_path):
    script = talk(Tls13Script(suite).handshake())
    script.key_update(TO_SERVER)
    talk(script)
    verification = verified_script(pcap_of(script.flights), script.key_log(), tmp_path)
    assert differences(verification) == {}


def test_authentication_after_the_handshake_closes_what_the_client_sends(tmp_path):
    script = talk(Tls13Script().client_hello(offers=True).server_hello().server_flight().client_flight())
    script.ask_late()
    script.answer_late()
    talk(script)
    verification = verified_script(pcap_of(script.flights), script.key_log(), tmp_path)
    assert set(differences(verification).values()) == {("explained", "post-handshake-authentication")}
    assert (0, "data-to-server") in differences(verification)


def test_a_record_missing_from_the_capture(tmp_path):
    script = talk(TlsScript().full(), rounds=6)
    packets = packets_of(script.flights)
    del packets[-7]  # the fourth response
    verification = verified_script(pcap_bytes(packets), script.key_log, tmp_path)
    found = differences(verification)
    assert found[0, "data-to-client"] == ("explained", "lost-bytes")
    assert {result for result, *_ in found.values()} == {"explained"}


def test_a_request_whose_body_never_ends_is_seen_by_both(tmp_path):
    script = TlsScript().full()
    script.data(TO_SERVER, b"POST /upload HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + bytes(5000))
    verification = verified_script(pcap_of(script.flights), script.key_log, tmp_path)
    assert differences(verification) == {}
    assert (0, "requests") in results(verification)


def test_a_part_of_a_body_that_looks_like_a_request_is_none_for_both(tmp_path):
    script = TlsScript().full()
    script.data(TO_SERVER, b"POST /upload HTTP/1.1\r\nContent-Length: 33\r\n\r\n")
    script.data(TO_SERVER, b"GET /not-a-request HTTP/1.1\r\n\r\n..")
    script.data(TO_CLIENT, OK)
    verification = verified_script(pcap_of(script.flights), script.key_log, tmp_path)
    assert differences(verification) == {}


def test_the_secrets_of_a_wrong_key_log_decrypt_nothing_for_both(tmp_path):
    script, other = talk(TlsScript(0x0303, 0xC02F).full()), TlsScript().full()
    verification = verified_script(pcap_of(script.flights), other.key_log, tmp_path)
    assert differences(verification) == {}
    assert "requests" not in {aspect for _, aspect in results(verification)}


def test_an_empty_capture_has_nothing_to_compare(tmp_path):
    trace = tmp_path / "empty.pcap"
    trace.write_bytes(pcap_bytes([]))
    assert verified(trace).comparisons == []


def test_bytes_without_sense_are_no_obstacle(tmp_path):
    flights = [(TO_SERVER, bytes(range(256)) * 8), (TO_CLIENT, b"\x16\x03\x01\xff\xff" + bytes(300))]
    trace = tmp_path / "odd.pcap"
    trace.write_bytes(pcap_of(flights, port=9999))
    assert differences(verified(trace)) == {}


def test_padding_that_the_ip_length_counts(tmp_path):
    first, second = GET % 1, GET % 2
    packets = packets_of([(TO_SERVER, first), (TO_CLIENT, OK), (TO_SERVER, second), (TO_CLIENT, OK)])
    ends = {"seq": 1001 + len(first), "ack": 70_001 + len(OK), "flags": ACK}
    packets.insert(5, tcp_packet("10.0.0.1", "10.0.0.2", 50000, 443, payload=bytes(6), **ends))
    trace = tmp_path / "padded.pcap"
    trace.write_bytes(pcap_bytes(packets))
    found = differences(verified(trace))
    assert found[0, "data-to-server"] == ("explained", "padding")
    assert {result for result, *_ in found.values()} == {"explained"}


def test_a_damaged_record(tmp_path):
    script = talk(Tls13Script().handshake(), rounds=4)
    direction, wire = script.flights[-5]
    script.flights[-5] = (direction, wire[:-1] + bytes([wire[-1] ^ 1]))
    found = differences(verified_script(pcap_of(script.flights), script.key_log(), tmp_path))
    assert set(found.values()) == {("explained", "damaged-record")}
