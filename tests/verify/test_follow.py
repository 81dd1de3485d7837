"""What tshark prints of a followed stream becomes two hashes, however the text is divided."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest

import easpcap.verify.follow as follow
from easpcap.stream import Endpoint
from easpcap.verify.follow import follow_arguments, read_follow
from easpcap.verify.opinion import StreamData
from easpcap.verify.tshark import SecondOpinionError

LINE = "=" * 67
CLIENT, SERVER = Endpoint("10.0.0.1", 50000), Endpoint("10.0.0.2", 443)
CONNECTION = SimpleNamespace(id=3, client=CLIENT, server=SERVER, tls=object())


def followed(*lines, number=3, node="10.0.0.1:50000", end="\n"):
    """The output for one stream; a line that begins with a tab is of the other node."""
    head = ["", LINE, "Follow: tls,raw", f"Filter: tcp.stream eq {number}", f"Node 0: {node}", "Node 1: :0"]
    return (end.join([*head, *lines, LINE]) + end).encode()


def data(content, missing=0):
    return StreamData(len(content), hashlib.sha256(content).hexdigest(), missing)


def both(text, connection=CONNECTION, step=None):
    step = step or len(text)
    return read_follow((text[at : at + step] for at in range(0, len(text), step)), [connection])[connection.id]


@pytest.mark.parametrize("step", [None, 1, 5])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_lines_of_each_node_are_its_data(step, end):
    text = followed(b"to ".hex(), "\t" + b"answer".hex(), b"server".hex(), end=end)
    assert both(text, step=step) == (data(b"to server"), data(b"answer"))


def test_the_first_node_may_be_the_server():
    text = followed(b"hello".hex(), "\t" + b"who".hex(), node="10.0.0.2:443")
    assert both(text) == (data(b"who"), data(b"hello"))


def test_ipv6_addresses_are_in_brackets():
    connection = SimpleNamespace(
        id=3, client=Endpoint("2001:db8::1", 50000), server=Endpoint("2001:db8::2", 443), tls=None
    )
    assert both(followed(b"x".hex(), node="[2001:db8::1]:50000"), connection) == (data(b"x"), data(b""))


def test_what_tshark_says_about_missing_bytes_is_no_data():
    text = followed(b"a".hex(), b"[12 bytes missing in capture file].".hex(), b"b".hex())
    wire = text.replace(b".".hex().encode() + b"\n", b"00\n")  # the text ends with a null character
    assert both(wire) == (data(b"ab", 12), data(b""))


def test_a_stream_without_data_has_no_node():
    assert both(followed(node=":0")) == (data(b""), data(b""))


def test_a_stream_of_other_hosts_is_another_connection():
    assert both(followed(b"x".hex(), node="10.9.9.9:1")) is None


def test_streams_come_in_any_order_and_others_are_passed_over():
    other = SimpleNamespace(id=5, client=CLIENT, server=SERVER, tls=None)
    text = followed(b"five".hex(), number=5) + followed(b"x".hex(), number=4) + followed(b"three".hex())
    found = read_follow([text], [CONNECTION, other])
    assert {number: to_server for number, (to_server, _) in found.items()} == {5: data(b"five"), 3: data(b"three")}


def test_each_connection_is_followed_by_its_protocol():
    clear = SimpleNamespace(id=4, tls=None)
    arguments = follow_arguments([CONNECTION, clear])
    assert arguments[-4:] == ["-z", "follow,tls,raw,3", "-z", "follow,tcp,raw,4"]


def test_another_form_is_one_line():
    with pytest.raises(SecondOpinionError, match="unknown form"):
        both(followed("no hexadecimal"))


def test_a_line_without_end_does_not_fill_memory(monkeypatch):
    monkeypatch.setattr(follow, "MAX_FOLLOWED_LINE", 1000)
    with pytest.raises(SecondOpinionError, match="line of more than"):
        read_follow((b"41" * 250 for _ in range(10**9)), [CONNECTION])
