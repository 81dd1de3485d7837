"""What tshark writes of its dissection is read packet by packet."""

from __future__ import annotations

from collections import Counter

import pytest

import easpcap.verify.dissection as dissection
from easpcap.verify.dissection import RETRY_RANDOM, read_dissection
from easpcap.verify.tshark import SecondOpinionError

CBC, GCM = "0x002f", "0x009c"


def field(name, show, value=""):
    return f'<field name="{name}" show="{show}" value="{value or show}"/>'


def layer(name, *fields):
    return f'<proto name="{name}">{"".join(fields)}</proto>'


def packet(stream, *layers):
    frame = layer(
        "geninfo", field("num", "1"), field("len", "60"), field("caplen", "60"), field("timestamp", "t", "1.0")
    )
    tcp = layer("tcp", field("tcp.stream", str(stream)))
    return f"<packet>{frame}{layer('frame')}{tcp}{''.join(layers)}</packet>\n"


def hello(kind, *fields):
    return layer("tls", field("tls.handshake.type", str(kind)), *fields)


def server_hello(suite, *fields, version="0x0303"):
    return hello(2, field("tls.handshake.version", version), field("tls.handshake.ciphersuite", suite), *fields)


def request(method, target):
    target_field = field("http.request.uri", "shown", target.encode().hex())
    return layer("http", field("http.request.method", method), target_field)


def read(*packets, step=None):
    text = f'<?xml version="1.0"?>\n<pdml>\n{"".join(packets)}</pdml>\n'.encode()
    step = step or len(text)
    return read_dissection(text[at : at + step] for at in range(0, len(text), step))


@pytest.mark.parametrize("step", [None, 1, 7])
def test_hellos_requests_and_statuses_are_counted_by_stream_however_the_text_is_divided(step):
    found = read(
        packet(3, hello(1)),
        packet(3, server_hello(CBC)),
        packet(3, hello(0)),
        packet(4, request("POST", "/a"), layer("http", field("http.response.code", "100"))),
        packet(4, request("POST", "/a"), layer("http", field("http.response.code", "413"))),
        step=step,
    ).opinions
    assert (found[3].client_hellos, found[3].hello_requests) == (1, 1)
    assert found[3].server_hellos == [("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA")]
    assert found[4].requests == Counter({("POST", "/a"): 2})
    assert found[4].statuses == Counter({100: 1, 413: 1})


@pytest.mark.parametrize(("chosen", "version"), [("0x0304", "TLS 1.3"), ("0x7f1c", "TLS 1.3")])
def test_tls13_and_its_drafts_are_named_by_the_extension(chosen, version):
    extension = field("tls.handshake.extensions.supported_version", chosen)
    found = read(packet(0, server_hello("0x1301", extension))).opinions
    assert found[0].server_hellos == [(version, "TLS_AES_128_GCM_SHA256")]


def test_two_hellos_in_one_packet_are_two():
    found = read(packet(0, server_hello(CBC), server_hello(GCM))).opinions
    assert [suite for _, suite in found[0].server_hellos] == [
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
    ]


def test_the_client_hello_after_a_retry_belongs_to_the_same_handshake():
    random = ":".join(RETRY_RANDOM[at : at + 2] for at in range(0, 64, 2))
    retry = server_hello("0x1301", field("tls.handshake.random", random))
    found = read(packet(0, hello(1)), packet(0, retry), packet(0, hello(1)), packet(0, hello(1))).opinions
    assert found[0].client_hellos == 2  # the third one begins another handshake


@pytest.mark.parametrize(
    ("target", "shown"), [("/\xe9", "/%C3%A9"), ("http://user:word@host/", "http://(redacted)@host/"), ("*", "*")]
)
def test_targets_are_shown_as_easpcap_shows_them(target, shown):
    ((_, found),) = read(packet(0, request("GET", target))).opinions[0].requests
    assert found == shown


def test_ipv6_packets_without_a_length_are_noted_with_their_hosts():
    ipv6 = layer("ipv6", field("ipv6.plen", "0"), field("ipv6.src", "2001:db8::1"), field("ipv6.dst", "2001:db8::2"))
    found = read(packet(0).replace('<proto name="tcp">', ipv6 + '<proto name="tcp">'))
    assert found.unread == {("2001:db8::1", "2001:db8::2")}


@pytest.mark.parametrize(
    ("payload", "push", "padding"),
    [
        ("0000", "0", True),
        ("000000000000", "0", True),
        ("0001", "0", False),
        ("0000", "1", False),
        ("00" * 7, "0", False),
    ],
)
def test_a_few_zeros_without_push_may_be_padding(payload, push, padding):
    fields = field("tcp.flags.push", push) + field("tcp.payload", "shown", payload)
    text = packet(0).replace('<field name="tcp.stream"', f'{fields}<field name="tcp.stream"')
    assert read(text).opinions[0].padding is padding


def test_characters_that_xml_forbids_are_no_obstacle():
    assert read(packet(0, request("GET", "/"), layer("http", field("x", "\x01\x02")))).opinions[0].requests


def test_a_text_cut_in_a_packet_yields_the_packets_before():
    text = (packet(0, hello(1)) + packet(0, hello(1))).encode()
    assert read_dissection([text[:-30]]).opinions[0].client_hellos == 1
    assert read_dissection([]).opinions == {}


@pytest.mark.parametrize("text", ["<packet>", "<packet><proto/>", "<packet>&broken;<", "<packet><a></b>"])
def test_a_packet_in_another_form_is_one_line(text):
    with pytest.raises(SecondOpinionError, match="update pyshark and Wireshark"):
        read_dissection([text.encode() + b"</packet>"])


def test_a_number_that_is_none_is_one_line():
    with pytest.raises(SecondOpinionError, match="ValueError"):
        read(packet("many", hello(1)))


def test_a_packet_without_end_does_not_fill_memory(monkeypatch):
    monkeypatch.setattr(dissection, "MAX_DISSECTED_PACKET", 1000)
    with pytest.raises(SecondOpinionError, match="too much of one packet"):
        read_dissection(b"<packet>" + bytes(500) for _ in range(10**9))
