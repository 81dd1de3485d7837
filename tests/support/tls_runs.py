"""Feeds recorded flights to a TlsSession whole, in pieces, with lost bytes, and sums up what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from easpcap.stream import Anomaly, Data, End, Gap
from easpcap.tls.handshake.verdict import CaptureLosses, KeysGiven, judge
from easpcap.tls.secrets.keyring import KeyRing
from easpcap.tls.session.session import Records, Seen, SessionCache, TlsSession
from tests.support.tls_peer import server_private_key

SERVER = ("192.0.2.1", 443)


@cache
def ring_with_key():
    keyring = KeyRing()
    keyring.add_private_key(server_private_key(), 0)
    return keyring


def ring_with_log(text):
    keyring = KeyRing()
    keyring.add_key_log(text.encode(), 7)
    return keyring


@dataclass
class Outcome:
    session: TlsSession
    events: list = field(default_factory=list)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def plaintext(self):
        joined = [b"", b""]
        for event in self.of(Data):
            joined[event.direction] += event.data
        return tuple(joined)

    @property
    def story(self):
        """The events, with runs that were only cut into pieces put together again."""
        story = []
        for event in self.events:
            last = story[-1] if story else None
            match last, event:
                case Data(direction, offset, data), Data() if event[:2] == (direction, offset + len(data)):
                    story[-1] = Data(direction, offset, data + event.data)
                case Records(), Records() if last[:2] == event[:2]:
                    story[-1] = event._replace(
                        offset=last.offset,
                        count=last.count + event.count,
                        bytes=last.bytes + event.bytes,
                        version=last.version,
                    )
                case _:
                    story.append(event)
        return story

    @property
    def seen(self):
        return self.of(Seen)

    @property
    def kinds(self):
        return [event.kind for event in self.seen]

    @property
    def codes(self):
        return [event.code for event in self.of(Anomaly)]

    @property
    def gaps(self):
        return self.of(Gap)

    @property
    def ends(self):
        return self.of(End)

    @property
    def records(self):
        return self.of(Records)

    def verdict(self, *, truncated=False, gaps=(0, 0), seen=(True, True), log=False, keys=True):
        return judge(self.session, CaptureLosses(truncated, gaps, seen), KeysGiven(keys, log))


def run(flights, keyring=None, *, cache=None, step=0, cause="fin", lost=None, at=(0, 0)):
    """Feed flights in order; ``step`` cuts them into pieces of so many bytes (0: not at all).

    ``lost`` = (direction, start, end), or a list of such, leaves those stream bytes out, and feeds Gaps instead.
    ``at`` are the offsets at which TLS begins.
    """
    losses = [lost] if isinstance(lost, tuple) else lost or []
    keyring = ring_with_key() if keyring is None else keyring
    outcome = Outcome(TlsSession(keyring, SessionCache() if cache is None else cache, SERVER, at))
    offsets = [*at]
    for direction, flight in flights:
        for begin in range(0, len(flight), step or len(flight) or 1):
            piece = flight[begin : begin + step] if step else flight
            for event in _without_all(losses, Data(direction, offsets[direction], piece)):
                outcome.events += outcome.session.feed(event)
            offsets[direction] += len(piece)
    for direction in (0, 1):
        outcome.events += outcome.session.feed(End(direction, offsets[direction], cause))
    return outcome


def _without_all(losses, event):
    """The event's bytes outside of all lost runs, which are in order and apart, and the Gaps."""
    events = [event]
    for lost in losses:
        events = [part for each in events for part in (_without(lost, each) if isinstance(each, Data) else [each])]
    return events


def _without(lost, event):
    """The event's bytes outside the lost run, and the Gap where that ends."""
    direction, start, stop = event.direction, event.offset, event.offset + len(event.data)
    if lost[0] != direction or stop <= lost[1] or start >= lost[2]:
        return [event]
    events = []
    if start < lost[1]:
        events.append(Data(direction, start, event.data[: lost[1] - start]))
    if lost[1] >= start:
        events.append(Gap(direction, lost[1], lost[2] - lost[1], lost[2] - lost[1]))
    if stop > lost[2]:
        events.append(Data(direction, lost[2], event.data[lost[2] - start :]))
    return events


def pieces(flights, cuts):
    """The flights cut at the given fractions of the whole (0 to 1), in the same order."""
    total = sum(len(flight) for _, flight in flights)
    marks = sorted({int(cut * total) for cut in cuts})
    parts, position = [], 0
    for direction, flight in flights:
        inner = [0, *(mark - position for mark in marks if position < mark < position + len(flight)), len(flight)]
        parts += [(direction, flight[a:b]) for a, b in pairwise(inner)]
        position += len(flight)
    return parts


@st.composite
def damages(draw):
    """Bits flipped, bytes inserted, or flights cut off, up to three times, and bytes that the capture lacks."""
    places = draw(st.lists(st.floats(0, 1, exclude_max=True), max_size=3))
    kind = draw(st.sampled_from(["flip", "insert", "cut"]))
    noise = draw(st.binary(max_size=40) | st.sampled_from([b"\x17\x03\x03\0\x08", b"\x16\x03\x03", b"\x14"]))
    lost = draw(st.none() | st.tuples(st.sampled_from([0, 1]), st.floats(0, 1), st.integers(1, 2000)))
    return Damage(places, kind, noise, lost)


class Damage(NamedTuple):
    """What happens to flights at ``places``, which are fractions of all of them (0 to 1).

    ``lost``: the direction, the place in its stream, and the size of what is lost besides.
    """

    places: list
    kind: str
    noise: bytes = b""
    lost: tuple | None = None

    def apply(self, flights):
        """The damaged flights, and the argument ``lost`` of `run`."""
        flights = [(direction, bytearray(flight)) for direction, flight in flights]
        for place in self.places:
            _, flight = flights[int(place * len(flights))]
            at = int(place * len(flight))
            match self.kind:
                case "flip" if flight:
                    flight[at] ^= 0x41
                case "insert":
                    flight[at:at] = self.noise
                case "cut":
                    del flight[at:]
        return [(direction, bytes(flight)) for direction, flight in flights], self._lost(flights)

    def _lost(self, flights):
        if self.lost is None:
            return None
        direction, place, size = self.lost
        end = sum(len(flight) for way, flight in flights if way == direction)
        start = int(place * end)
        return (direction, start, min(start + size, end)) if start < end else None


def flipped(flights, direction, at, bit):
    """The flights with one bit of a direction's stream changed."""
    return altered(flights, direction, at, 1 << bit)


def altered(flights, direction, at, mask):
    """The flights with the bits of ``mask`` changed in one byte of a direction's stream."""
    changed, offset = [], 0
    for sent, flight in flights:
        damaged = bytearray(flight)
        if sent == direction and offset <= at < offset + len(flight):
            damaged[at - offset] ^= mask
        changed.append((sent, bytes(damaged)))
        offset += len(flight) if sent == direction else 0
    return changed
