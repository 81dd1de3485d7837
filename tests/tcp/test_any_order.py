"""Conversations sent through loss, duplication, overlap and reordering are reassembled as they were sent."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from easpcap.batch import ACK, FIN, RST, SYN
from easpcap.stream import Data
from tests.support.batches import Packet, Script
from tests.support.streams import ConnectionEvents, read

#: Fewer packets than the patience for gaps, so that only what was really lost can be missing.
MOST_PACKETS = 60

SAME = (
    *("client", "server", "roles_known_by", "handshake_seen", "closed_by", "truncated", "seen"),
    *("packets", "payload_bytes", "gaps", "acked", "anomalies"),
)


class Talk:
    """A random conversation in which every segment acknowledges only what had reached its sender."""

    def __init__(self, dice: random.Random, *, loss: bool = False) -> None:
        self.dice = dice
        self.script = Script(isn=(dice.choice([5, 2**32 - 40]), dice.choice([9, 2**32 - 3])))
        self.sent = (bytearray(), bytearray())
        self.received = [0, 0]
        self.under_way = (deque(), deque())
        if dice.random() < 0.8:
            self.script.handshake()
        for _ in range(dice.randrange(3, 30)):
            self.step()
        if dice.random() < 0.5:
            self.close()
        self.packets = self.disturb(self.script.packets, loss=loss)

    def step(self) -> None:
        """One side sends, or a segment arrives."""
        side = self.dice.randrange(2)
        if self.under_way[side] and self.dice.random() < 0.6:
            self.received[side] = self.under_way[side].popleft()
            if self.dice.random() < 0.5:
                self.write(1 - side, b"")
        else:
            self.write(side, self.dice.randbytes(self.dice.randrange(2, 9)))

    def write(self, side: int, payload: bytes) -> None:
        ack = self.script.isn[1 - side] + 1 + self.received[1 - side]
        self.script.send(side, payload, ack=ack)
        self.sent[side].extend(payload)
        if payload:
            self.under_way[side].append(len(self.sent[side]))

    def close(self) -> None:
        self.received = [len(self.sent[0]), len(self.sent[1])]
        self.script.fin(0).fin(1).put(0)

    def disturb(self, packets: list[Packet], *, loss: bool) -> list[Packet]:
        """What a poor capture makes of it. Retransmissions repeat a stretch of earlier bytes with a later ACK."""
        dice, out = self.dice, []
        calm = dice.random() < 0.2
        fixed = 3 if packets[0].flags & SYN else 1
        for number, packet in enumerate(packets):
            back = 0 if calm or dice.random() < 0.6 else dice.randrange(4)
            place = max(min(fixed, len(out)), len(out) - back)
            if not (loss and packet.payload and dice.random() < 0.2):
                out.insert(place, packet)
            if not calm and packet.payload and dice.random() < 0.2 and len(packets) + 6 < MOST_PACKETS:
                cut = dice.randrange(len(packet.payload))
                out.append(replace(packet, seq=packet.seq + cut, payload=packet.payload[cut:]))
            assert number < MOST_PACKETS
        return out


def conversations(*, loss: bool):
    return st.builds(lambda seed: Talk(random.Random(seed), loss=loss), st.integers(0, 2**32))


batch_sizes = st.lists(st.integers(0, 9), max_size=8)


def one(events: dict[int, ConnectionEvents]) -> ConnectionEvents:
    assert len(events) == 1
    return events[0]


def both_paths(packets: list[Packet], sizes: list[int]) -> ConnectionEvents:
    """Reads by both paths, which must agree in everything but how bytes are cut into pieces."""
    fast, reference = one(read(packets, columnar=True, sizes=sizes)), one(read(packets, columnar=False, sizes=sizes))
    agree(fast, reference)
    for events in (fast, reference):
        assert events.stamps == sorted(events.stamps)
    return fast


def agree(fast: ConnectionEvents, reference: ConnectionEvents) -> None:
    assert fast.story == reference.story
    for name in SAME:
        assert getattr(fast.connection, name) == getattr(reference.connection, name), name
    assert fast.connection.last[1:] == reference.connection.last[1:]
    for direction in (0, 1):
        for offset in range(min(fast.offsets[direction], 300)):
            assert fast.connection.locate(direction, offset)[1:] == reference.connection.locate(direction, offset)[1:]


@settings(max_examples=100, deadline=None)
@given(conversations(loss=False), batch_sizes)
def test_a_complete_capture_is_delivered_completely_and_in_causal_order(talk, sizes):
    events = both_paths(talk.packets, sizes)
    starts_known = talk.script.packets[0].flags & SYN
    for direction in (0, 1):
        if starts_known:
            assert events.gaps[direction] == []
            assert bytes(events.data[direction]) == bytes(talk.sent[direction])
    if starts_known:
        delivered = [0, 0]
        for event in events.story:
            if type(event) is Data:
                direction, offset, data = event
                for at in (offset, offset + len(data) - 1):
                    assert events.connection.locate(direction, at).acked <= delivered[1 - direction]
                delivered[direction] += len(data)


@settings(max_examples=100, deadline=None)
@given(conversations(loss=True), batch_sizes)
def test_exactly_the_lost_bytes_are_gaps(talk, sizes):
    events = both_paths(talk.packets, sizes)
    if not talk.script.packets[0].flags & SYN:
        return
    for direction in (0, 1):
        base = talk.script.isn[direction] + 1
        there = [False] * len(talk.sent[direction])
        end = 0
        for packet in talk.packets:
            if packet.src == talk.script.ends[direction]:
                start = packet.seq - base
                if packet.payload:
                    there[start : start + len(packet.payload)] = [True] * len(packet.payload)
                if packet.payload or packet.flags & FIN:
                    end = max(end, start + len(packet.payload))
            else:
                end = max(end, min(packet.ack - base, len(there)))
        expected = bytes(byte for byte, known in zip(talk.sent[direction], there, strict=True) if known)
        assert bytes(events.data[direction]) == expected
        missing = {at for at in range(end) if not there[at]}
        assert {at for start, length in events.gaps[direction] for at in range(start, start + length)} == missing


def nonsense(seed: int) -> list[Packet]:
    """Packets of a few flows that keep no promise but the layout of their headers."""
    dice = random.Random(seed)
    ends = [("10.0.0.1", 50000), ("10.0.0.2", 443), ("fe80::1", 443)][: dice.choice([2, 2, 3])]
    flags = dice.choices([ACK, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK, 0], [60, 4, 3, 3, 1, 1, 1], k=80)
    jumps = dice.choice([[0, 0, 0, 1, 4], [0, 3, 2**30 + 9, 2**31, -3]])
    sequence, packets = dict.fromkeys(ends, 100), []
    for flag in flags:
        src, dst = dice.sample(ends, 2)
        payload = dice.randbytes(dice.choice([0, 0, 1, 3, 4]))
        seq = (sequence[src] + dice.choice(jumps)) % 2**32
        ack = (sequence[dst] - dice.choice(jumps)) % 2**32
        cut = dice.choice([0, 0, 0, 0, len(payload) // 2])
        packets.append(Packet(src, dst, seq, ack, flag, payload, window=dice.choice([9, 9, 9, 9, 0]), cut=cut))
        if dice.random() < 0.8:
            sequence[src] = (seq + len(payload) + (flag & SYN > 0) + (flag & FIN > 0)) % 2**32
    return packets


@settings(max_examples=100, deadline=None)
@given(st.builds(nonsense, st.integers(0, 2**32)), batch_sizes)
def test_both_paths_agree_on_random_packets(packets, sizes):
    fast, reference = read(packets, columnar=True, sizes=sizes), read(packets, columnar=False, sizes=sizes)
    assert fast.keys() == reference.keys()
    for number in fast:
        agree(fast[number], reference[number])
    assert sum(events.connection.packets for events in fast.values()) == len(packets)
