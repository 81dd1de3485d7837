"""The key schedule and the records of TLS 1.3 against the trace of RFC 8448."""

from __future__ import annotations

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.protection.tls13 import tls13_protection
from easpcap.tls.secrets.schedule13 import finished_contents, next_secret, traffic_keys
from easpcap.tls.suites.suite import suite
from tests.support import rfc8448
from tests.support.tls13_script import SUITES, Tls13Script
from tests.support.tls_runs import ring_with_log, run

AES_128 = suite(0x1301)


@pytest.mark.parametrize("label", list(rfc8448.SECRETS))
def test_the_traffic_keys_are_those_of_rfc_8448(label):
    keys = traffic_keys(AES_128, bytes.fromhex(rfc8448.SECRETS[label]))
    assert (keys.key.hex(), keys.iv.hex()) == rfc8448.KEYS[label]


def test_the_client_finished_is_that_of_rfc_8448():
    secret = bytes.fromhex(rfc8448.SECRETS["CLIENT_HANDSHAKE_TRAFFIC_SECRET"])
    contents = finished_contents(AES_128, secret, bytes.fromhex(rfc8448.TRANSCRIPT_HASH))
    assert contents.hex() == rfc8448.CLIENT_FINISHED


@pytest.mark.parametrize("draft", [0, 18, 19, 20, 28])
@pytest.mark.parametrize("value", [0x1301, 0x1302])
def test_the_secret_after_a_key_update_is_derived_with_hkdf(value, draft):
    script = Tls13Script(value, draft=draft)
    secret = script.secrets["CLIENT_TRAFFIC_SECRET_0"]
    label = b"application traffic secret" if draft in {18, 19} else b"traffic upd"
    assert next_secret(suite(value), secret, draft) == script.expand(secret, label, len(secret))
    keys = traffic_keys(suite(value), secret, draft)
    assert (keys.key, keys.iv) == (script.expand(secret, b"key", script.key_size), script.expand(secret, b"iv", 12))


@pytest.mark.parametrize("step", [0, 1])
def test_the_whole_trace_of_rfc_8448_is_decrypted(step):
    outcome = run(rfc8448.FLIGHTS, ring_with_log(rfc8448.key_log()), step=step)
    assert outcome.plaintext == (rfc8448.PAYLOAD, rfc8448.PAYLOAD)
    assert outcome.codes == []
    done = next(seen for seen in outcome.seen if seen.kind == "handshake-done")
    assert done.what.verified
    assert outcome.verdict(log=True, keys=False) == ("decrypted", None)


def records_of(script, direction):
    wire = b"".join(flight for way, flight in script.flights if way == direction)
    return [wire[start + 5 : end] for start, end, _ in script.records[direction]]


def protection(script, direction=TO_SERVER):
    return tls13_protection(suite(script.suite), script.present[direction], script.draft)


@pytest.mark.parametrize("draft", [0, 18, 25])
@pytest.mark.parametrize("value", list(SUITES))
def test_every_suite_is_decrypted_but_not_a_record_with_a_changed_byte(value, draft):
    script = Tls13Script(value, draft=draft)
    script.under(TO_SERVER, script.secrets["CLIENT_TRAFFIC_SECRET_0"])
    script.data(TO_SERVER, b"first")
    script.data(TO_SERVER, b"second")
    first, second = records_of(script, TO_SERVER)
    reading, version = protection(script), 0x0301 if draft == 18 else 0x0303
    assert reading.open(23, version, first) == b"first"
    assert reading.open(23, version, second) == b"second"
    for at in range(len(first)):
        damaged = first[:at] + bytes([first[at] ^ 1]) + first[at + 1 :]
        fresh = protection(script)
        assert fresh.open(23, version, damaged) is None
        assert fresh.other_content is None


@pytest.mark.parametrize("padding", [1, 255, 4000])
def test_padding_hides_neither_type_nor_content(padding):
    script = Tls13Script()
    script.under(TO_CLIENT, script.secrets["SERVER_TRAFFIC_SECRET_0"])
    script.padding = padding
    script.data(TO_CLIENT, b"ends in zeros\0\0")
    script.ticket()
    data, ticket = records_of(script, TO_CLIENT)
    reading = protection(script, TO_CLIENT)
    assert reading.open(23, 0x0303, data) == b"ends in zeros\0\0"
    assert reading.padded
    assert reading.open(23, 0x0303, ticket) is None
    assert reading.other_content[0] == 22


def test_a_record_of_padding_only_gives_no_content():
    script = Tls13Script()
    script.under(TO_SERVER, script.secrets["CLIENT_TRAFFIC_SECRET_0"])
    script.padding = 9
    script.send(TO_SERVER, 0, b"")
    reading = protection(script)
    assert reading.open(23, 0x0303, records_of(script, TO_SERVER)[0]) is None
    assert reading.other_content is None


@pytest.mark.parametrize("size", [0, 1, 15, 16])
def test_a_fragment_shorter_than_its_tag_is_not_opened(size):
    script = Tls13Script()
    script.under(TO_SERVER, script.secrets["CLIENT_TRAFFIC_SECRET_0"])
    reading = protection(script)
    assert reading.open(23, 0x0303, bytes(size)) is None
    assert reading.sequence == 1


def test_a_record_after_lost_ones_is_found_by_its_sequence_number():
    script = Tls13Script()
    script.under(TO_SERVER, script.secrets["CLIENT_TRAFFIC_SECRET_0"])
    for number in range(5):
        script.data(TO_SERVER, bytes([number]) * 100)
    records = records_of(script, TO_SERVER)
    reading = protection(script)
    assert reading.open(23, 0x0303, records[0]) == bytes(100)
    lost = sum(len(record) + 5 for record in records[1:3])
    assert reading.reopen(23, 0x0303, records[3], b"", lost, 100) == bytes([3]) * 100
    assert reading.open(23, 0x0303, records[4]) == bytes([4]) * 100
    assert reading.reopen(23, 0x0303, bytes(100), b"", 500, 100) is None
    assert reading.sequence == 5
