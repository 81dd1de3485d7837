"""A worse capture of the same traffic never shows a fault that the whole one does not show.

Packets are lost, cut, doubled and swapped by every capture that is taken in a hurry. What is missing then may hide a
fault; it must not invent one.
"""

from __future__ import annotations

import io
import random
import struct
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.capture import open_capture
from easpcap.errors import CaptureError
from easpcap.keyfiles import load_keys
from easpcap.pipeline import Analyzer, judge
from easpcap.report import render_text
from easpcap.results import InputFile
from tests.pipeline.captures import CAPTURES, KEY, packets_of

#: A fault that is seen less completely may be told as the weaker one that it contains.
CONTAINS = {"renegotiation-deadlock": {"renegotiation-mid-body"}}

MILLISECOND = 1_000_000
NAMES = [path.stem for path in CAPTURES]
SMALL = [path.stem for path in CAPTURES if path.stat().st_size < 100_000]


@cache
def recorded(name):
    """The header and packets of a fixture."""
    (path,) = (path for path in CAPTURES if path.stem == name)
    return packets_of(path)


@cache
def keys(name):
    (path,) = (path for path in CAPTURES if path.stem == name)
    log = path.with_suffix(".keys")
    return load_keys([KEY], key_logs=[str(log)] if log.exists() else [])


def analysed(name, packets):
    header, _ = recorded(name)
    analyzer = Analyzer(keys(name)[0])
    capture = open_capture(io.BytesIO(header + b"".join(packets)))
    for batch in capture:
        analyzer.feed(batch)
    file = InputFile("trace.pcap", "", "pcap", [], capture.packets, capture.first_time, capture.last_time, False)
    return judge(analyzer.finish(), [file])


def faults(analysis):
    return {finding.rule for finding in analysis.findings if finding.severity != "notice"}


@cache
def known(name):
    """The faults that the whole capture shows, and those that are contained in them."""
    shown = faults(analysed(name, recorded(name)[1]))
    return shown.union(*(CONTAINS.get(rule, set()) for rule in shown))


def invents_nothing(name, packets):
    analysis = analysed(name, packets)
    invented = [f for f in analysis.findings if f.severity != "notice" and f.rule not in known(name)]
    assert [(finding.rule, finding.confidence, finding.against) for finding in invented] == []
    return analysis


@pytest.mark.parametrize("name", ["apache-413", "renegotiation-deadlock", "initial-certificate"])
def test_any_single_packet_may_be_missing(name):
    packets = recorded(name)[1]
    for missing in range(len(packets)):
        invents_nothing(name, packets[:missing] + packets[missing + 1 :])


@pytest.mark.parametrize("percent", [1, 5, 20])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_packets_are_lost(name, percent, seed):
    dice = random.Random(seed)
    invents_nothing(name, [packet for packet in recorded(name)[1] if dice.random() * 100 >= percent])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None)
@given(first=st.floats(0, 1), last=st.floats(0, 1))
def test_the_capture_begins_later_and_ends_sooner(name, first, last):
    packets = recorded(name)[1]
    begin, end = sorted((int(first * len(packets)), int(last * len(packets))))
    invents_nothing(name, packets[begin:end])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("snaplen", [60, 96, 128, 256, 512])
def test_packets_are_cut(name, snaplen):
    cut = []
    for packet in recorded(name)[1]:
        seconds, fraction, captured, on_wire = struct.unpack_from("<IIII", packet)
        size = min(captured, snaplen)
        cut.append(struct.pack("<IIII", seconds, fraction, size, on_wire) + packet[16 : 16 + size])
    invents_nothing(name, cut)


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_packets_are_swapped_within_three_milliseconds(name, seed):
    dice = random.Random(seed)
    stamped = [(time_of(packet) + dice.randrange(3 * MILLISECOND), packet) for packet in recorded(name)[1]]
    swapped = invents_nothing(name, [packet for _, packet in sorted(stamped, key=lambda item: item[0])])
    assert {e.outcome for e in swapped.exchanges} <= {e.outcome for e in whole(name).exchanges} | {"interrupted"}


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), distance=st.integers(1, 5))
def test_packets_are_doubled(name, seed, distance):
    dice, packets = random.Random(seed), recorded(name)[1]
    doubled = list(packets)
    for at in sorted(dice.sample(range(len(packets)), len(packets) // 4), reverse=True):
        doubled.insert(min(at + distance, len(doubled)), packets[at])
    analysis = invents_nothing(name, doubled)
    assert faults(analysis) == faults(whole(name))
    assert [(e.outcome, e.key) for e in analysis.exchanges] == [(e.outcome, e.key) for e in whole(name).exchanges]


@cache
def whole(name):
    return analysed(name, recorded(name)[1])


def time_of(packet):
    seconds, fraction = struct.unpack_from("<II", packet)
    return seconds * 10**9 + fraction * 1000


def answer_or_error(name, data):
    """The report, which ends with a line end, or the message of the error."""
    analyzer = Analyzer(keys(name)[0])
    try:
        for batch in open_capture(io.BytesIO(data)):
            analyzer.feed(batch)
    except CaptureError as error:
        return str(error)
    return "".join(render_text(judge(analyzer.finish())))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_gives_an_answer_or_an_error_of_one_line(name, data):
    (path,) = (path for path in CAPTURES if path.stem == name)
    whole = path.read_bytes()
    cut = data.draw(st.one_of(st.integers(0, 4096), st.integers(0, len(whole))))
    answer = answer_or_error(name, whole[:cut])
    assert answer.endswith("\n") or "\n" not in answer
