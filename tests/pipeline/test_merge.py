"""A capture divided by connections, read in parts and merged in any order, gives the analysis of the whole."""

from __future__ import annotations

import gc
import io
import os
import pickle
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.batch import PacketBatch
from easpcap.capture import open_capture
from easpcap.keyfiles import load_keys
from easpcap.pipeline import Analyzer, Partial, judge, merge
from easpcap.pipeline.conversation import Conversation
from easpcap.results import Connection, Decryption, LocatedAnomaly
from easpcap.stream import Endpoint, Position
from tests.pipeline.captures import CAPTURES, FIXTURES, KEY, as_json, packets_of

#: All fixtures as one capture. Those with a resumed session come whole to one part.
TOGETHER = [path for path in CAPTURES if not path.stem.startswith("resumption")]
WINDOW = 2**16


def batches(paths):
    """The batches of captures read one after the other, with the frames of the whole."""
    first_frame = 1
    for path in paths:
        capture = open_capture(path, window_bytes=WINDOW, first_frame=first_frame)
        yield from capture
        first_frame += capture.packets


def only(batch, wanted):
    """The rows of a batch for which ``wanted`` is true of their flow."""
    ends = [batch.src_low.tolist(), batch.sport.tolist(), batch.dst_low.tolist(), batch.dport.tolist()]
    chosen = [wanted(frozenset(((src, sport), (dst, dport)))) for src, sport, dst, dport in zip(*ends, strict=True)]
    columns = {name: getattr(batch, name) for name in PacketBatch.__match_args__}
    buffer = columns.pop("buffer")
    return PacketBatch(buffer, **{name: column[chosen] for name, column in columns.items()})


def read_whole(paths):
    keyring, files = load_keys([KEY])
    analyzer = Analyzer(keyring, digest=True)
    for batch in batches(paths):
        analyzer.feed(batch)
    return as_json(judge(analyzer.finish(), keys=files))


def read_divided(paths, parts, part_of, order):
    """Every part by an analyzer of its own, as in another process; merged in ``order``."""
    partials = []
    for part in range(parts):
        analyzer = Analyzer(load_keys([KEY])[0], digest=True)
        for batch in batches(paths):
            analyzer.feed(only(batch, lambda flow, part=part: part_of(flow) == part))
        partials.append(pickle.dumps(analyzer.finish()))
    merged = merge(pickle.loads(partials[number]) for number in order)
    return as_json(judge(merged, keys=load_keys([KEY])[1]))


def divided_at_random(parts, seed):
    chance, known = random.Random(seed), {}
    return lambda flow: known.setdefault(flow, chance.randrange(parts))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_connections_read_apart_and_merged_give_the_same_json(path):
    part_of = divided_at_random(2, 0) if path in TOGETHER else lambda _flow: 1
    assert read_divided([path], 2, part_of, [1, 0]) == read_whole([path])


@given(
    paths=st.lists(st.sampled_from(TOGETHER), min_size=1, max_size=6, unique=True),
    parts=st.integers(1, 4),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_any_division_by_connections_merged_in_any_order_gives_the_same_json(paths, parts, seed, data):
    order = data.draw(st.permutations(range(parts)))
    assert read_divided(paths, parts, divided_at_random(parts, seed), order) == read_whole(paths)


def test_merging_in_steps_equals_merging_at_once():
    partials = []
    for part in range(3):
        analyzer = Analyzer(load_keys([KEY])[0])
        for batch in batches(TOGETHER[:6]):
            analyzer.feed(only(batch, lambda flow, part=part: sum(port for _, port in flow) % 3 == part))
        partials.append(analyzer.finish())
    first, second, third = partials
    assert merge([merge([first, second]), third]) == merge([third, merge([second, first])]) == merge(partials)


def analyzer_of(path):
    analyzer = Analyzer(load_keys([KEY])[0])
    for batch in batches([path]):
        analyzer.feed(batch)
    return analyzer


def test_judging_a_partial_twice_gives_the_same_analysis():
    partial = analyzer_of(FIXTURES / "captures" / "renegotiation-deadlock.pcap").finish()
    keys = load_keys([KEY])[1]
    assert as_json(judge(partial, keys=keys)) == as_json(judge(partial, keys=keys))
    assert keys[0].matches == [connection.id for connection in partial.connections]


# ---------------------------------------------------------------------- numbers


def connection(frame):
    here = Position(0, frame, frame * 1000, None)
    ends = Endpoint("10.0.0.1", 50_000 + frame), Endpoint("10.0.0.2", 443)
    return Connection(frame, *ends, "syn", here, here, 1, (0, 0), (0, 0), "open", None, Decryption("none"))


def test_connections_are_numbered_by_first_frame_together_with_unanswered_ones():
    first, second = Partial(), Partial()
    first.add(connection(9), [LocatedAnomaly("gap", 9, 10, None, "")])
    first.add(connection(2), [])
    second.add(connection(5), [LocatedAnomaly("gap", 5, 10, None, ""), LocatedAnomaly("gap", 5, 6, None, "")])
    second.unanswered.extend([3, 4])
    analysis = judge(merge([first.finish(), second.finish()]))
    assert [(one.first.frame, one.id) for one in analysis.connections] == [(2, 0), (5, 3), (9, 4)]
    assert [(one.connection, one.frame) for one in analysis.anomalies] == [(3, 6), (3, 10), (4, 10)]


def test_the_first_anomalies_by_frame_are_kept_however_the_capture_is_divided(monkeypatch):
    monkeypatch.setattr("easpcap.pipeline.partial.MAX_ANOMALIES", 3)
    whole, parts = Partial(), [Partial(), Partial()]
    for number, frame in enumerate([8, 2, 6, 4, 7, 3, 5, 1]):
        anomaly = LocatedAnomaly("gap", frame, frame, None, "")
        whole.add(connection(frame), [anomaly])
        parts[number % 2].add(connection(frame), [anomaly])
    merged = merge(part.finish() for part in parts)
    assert [anomaly.frame for anomaly in whole.finish().anomalies] == [1, 2, 3]
    assert merged == whole


# ---------------------------------------------------------------------- a capture that grows


def shifted(packets, seconds):
    """The same packets, captured some seconds later."""
    return [(int.from_bytes(p[:4], "little") + seconds).to_bytes(4, "little") + p[4:] for p in packets]


def growing_capture():
    """A capture that ends, followed by another an hour later: the connections of the first have ended by then."""
    header, first = packets_of(FIXTURES / "captures" / "apache-413.pcap")
    _, second = packets_of(FIXTURES / "captures" / "ping-abandoned.pcap")
    return header + b"".join([*first, *shifted(second, 3600)])


def test_a_connection_that_has_ended_comes_out_of_a_pipe_before_the_pipe_ends():
    reading, writing = os.pipe()
    seen = threading.Event()
    ended = []

    def write():
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(growing_capture())
            pipe.flush()
            ended.append("by the reader" if seen.wait(timeout=20) else "by the clock")

    writer = threading.Thread(target=write)
    writer.start()
    analyzer, closed = Analyzer(load_keys([KEY])[0]), []
    with os.fdopen(reading, "rb") as pipe:
        for batch in open_capture(pipe, window_bytes=4096):
            closed += analyzer.feed(batch)
            if closed:
                seen.set()
    writer.join()
    assert ended == ["by the reader"]
    assert {connection.exchanges[-1].response.status for connection in closed} == {200, 413}


def test_closed_connections_are_returned_once_and_their_state_is_freed():
    gc.collect()  # what other tests left open
    analyzer, returned, kept = Analyzer(load_keys([KEY])[0]), [], []
    for batch in open_capture(io.BytesIO(growing_capture()), window_bytes=4096):
        returned += analyzer.feed(batch)
        kept.append(sum(type(thing) is Conversation for thing in gc.get_objects()))
    partial = analyzer.finish()
    assert sorted(one.id for one in returned) == [one.id for one in partial.connections[: len(returned)]]
    assert len(partial.connections) > len(returned) > 0
    assert kept[-1] == len(partial.connections) - len(returned)
