"""What must hold for every capture: more keys add and never remove, and times shift with the clock of the capture."""

from __future__ import annotations

import io
import json
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from easpcap.keyfiles import load_keys
from easpcap.pipeline import Analyzer, judge
from easpcap.report import render_json
from easpcap.stream import NANOSECONDS, TO_SERVER
from tests.pipeline.captures import CAPTURES, KEY, PACKET_HEADER, packets_of
from tests.support.packets import ACK, PSH, SYN, pcap_bytes, tcp_packet
from tests.support.tls_runs import ring_with_key
from tests.support.tls_script import TlsScript

any_capture = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)


def analysed(source, keyring, files=()):
    analyzer = Analyzer(keyring)
    for batch in open_capture(source):
        analyzer.feed(batch)
    return judge(analyzer.finish(), keys=files)


def document(source, keys=(), key_logs=()):
    analysis = analysed(source, *load_keys(keys, key_logs=key_logs))
    return "".join(render_json(analysis, ["connections", "exchanges", "findings", "anomalies"]))


# ---------------------------------------------------------------------- more keys


def messages(path, keys, key_logs):
    """The requests and responses of each connection, with their heads' frames."""
    return {
        (e.connection, m.first.frame, type(m).__name__, m.head_offset, m.content_length)
        for e in analysed(path, *load_keys(keys, key_logs=key_logs)).exchanges
        for m in (e.request, e.response)
        if m is not None
    }


@any_capture
def test_more_keys_never_remove_an_exchange(path):
    log = path.with_suffix(".keys")
    steps = [((), ()), ((KEY,), ()), ((KEY,), (str(log),) if log.exists() else ())]
    fewer, some, more = (messages(path, *step) for step in steps)
    assert fewer <= some <= more


# ---------------------------------------------------------------------- times

TIME = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"')


def nanoseconds(text):
    """Of a time in the document."""
    import numpy as np

    return int(np.datetime64(text.strip('"').removesuffix("Z"), "ns").astype(np.int64))


def shifted(path, seconds):
    header, packets = packets_of(path)
    moved = [struct.pack("<I", struct.unpack_from("<I", p)[0] + seconds) + p[4:] for p in packets]
    assert all(len(p) > PACKET_HEADER for p in moved)
    return io.BytesIO(header + b"".join(moved))


@given(path=st.sampled_from(CAPTURES), seconds=st.integers(-(10**9), 10**9))
@settings(max_examples=25, deadline=None)
def test_a_shifted_capture_differs_only_in_its_times(path, seconds):
    before, after = document(str(path), [KEY]), document(shifted(path, seconds), [KEY])
    assert TIME.sub("", before) == TIME.sub("", after)
    times = [[nanoseconds(time) for time in TIME.findall(text)] for text in (before, after)]
    assert times[1] == [time + seconds * NANOSECONDS for time in times[0]]
    assert json.loads(after)["connections"]


# ---------------------------------------------------------------------- places that are asked for late

RECORD = 16_000  # body bytes of each record


@pytest.mark.parametrize("behind", [2, 20, 36])
def test_a_hello_request_that_acknowledges_an_old_offset_gets_its_body_offset(behind):
    """``behind`` records have been sent and not acknowledged: 36 are more than PRUNE_BYTES, twice."""
    script = TlsScript().full()
    head = b"POST / HTTP/1.1\r\nContent-Length: 9600000\r\n\r\n"
    script.data(TO_SERVER, head)
    ends = [script.data(TO_SERVER, bytes(RECORD)) for _ in range(40)]
    script.hello_request()
    received = ends[40 - behind]  # where the first record that the server does not have begins
    analysis = analysed(io.BytesIO(pcap_bytes(upload(script.flights, received))), ring_with_key())
    [renegotiation] = analysis.connections[0].tls.renegotiations
    assert renegotiation.body_offset_sent == 40 * RECORD
    assert renegotiation.body_offset_acknowledged == (40 - behind) * RECORD


def upload(flights, received):
    """Packets of the flights, whose server never acknowledges more than ``received`` bytes."""
    ends = [("10.0.0.1", 50000), ("10.0.0.2", 443)]
    following = [1001, 70_001]
    packets = []

    def send(sender, flags, payload=b"", **numbers):
        (src, sport), (dst, dport) = ends[sender], ends[1 - sender]
        acked = min(following[0], 1001 + received) if sender else following[1]
        numbers = {"seq": following[sender], "ack": acked, **numbers}
        packets.append(tcp_packet(src, dst, sport, dport, flags=flags, payload=payload, **numbers))
        following[sender] += len(payload)

    send(0, SYN, seq=1000, ack=0)
    send(1, SYN | ACK, seq=70_000)
    for sender, flight in flights:
        for at in range(0, len(flight), 1400):
            send(sender, PSH | ACK, flight[at : at + 1400])
    return packets
