"""The epochs that a direction of a TLS 1.3 connection passes through, and the keys of each (RFC 8446 section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.facts import CLOSING_ALERTS, FATAL, WARNING
from easpcap.limits import MAX_EARLY_DATA
from easpcap.tls.codepoints import APPLICATION_DATA, RECORD_HEADER_SIZE
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake import messages as hs
from easpcap.tls.handshake.encrypted13 import APPLICATION, EARLY, HANDSHAKE
from easpcap.tls.protection.tls13 import Tls13Protection, inner_protection
from easpcap.tls.secrets.schedule13 import HASH_SIZES, next_secret
from easpcap.tls.suites.suite import suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Agreement
    from easpcap.tls.record.records import Record

EARLY_LABEL: Final = "CLIENT_EARLY_TRAFFIC_SECRET"
#: Labels of RFC 9850 by direction, for the handshake and for application data.
LABELS: Final = (
    ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"),
    ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"),
)


class Epoch(NamedTuple):
    """An epoch that a direction is in or may come to; without a protection where its secret is not known."""

    epoch: int
    label: str
    secret: bytes
    source: int | None
    protection: Tls13Protection | None

    def __repr__(self) -> str:
        return f"Step({self.label}, known={self.protection is not None})"


class DirectionEpochs:
    """One direction: the steps from the present one on, early data on trial, and records that did not open so far."""

    __slots__ = ("held", "held_bytes", "pending", "pending_bytes", "steps")

    def __init__(self) -> None:
        self.steps: list[Epoch] = []
        self.held: list[tuple[Record, bytes]] = []  # early data, until the server has accepted it
        self.held_bytes = 0
        self.pending = 0  # records that no key opened and that may be of the handshake
        self.pending_bytes = 0

    @property
    def epoch(self) -> int:
        """Where it is."""
        return self.steps[0].epoch if self.steps else APPLICATION

    def hold(self, record: Record, data: bytes) -> bool:
        """Keep early data until it is known whether the server took it: if not, the client sends it again.

        False where it is too much.
        """
        if self.held_bytes + len(data) > MAX_EARLY_DATA:
            return False
        self.held.append((record, data))
        self.held_bytes += len(data)
        return True


def known_steps(finder: KeyFinder, agreement: Agreement, direction: int) -> list[Epoch]:
    """The handshake and application steps of a direction, as far as the key log knows their secrets."""
    return [
        _known_step(finder, agreement, epoch, label)
        for epoch, label in zip((HANDSHAKE, APPLICATION), LABELS[direction], strict=True)
    ]


def _known_step(finder: KeyFinder, agreement: Agreement, epoch: int, label: str) -> Epoch:
    found = finder.traffic_secret(agreement.client_random or b"", label)
    if found is None or len(found[0]) != HASH_SIZES[agreement.suite.prf_hash]:
        return Epoch(epoch, label, b"", None, None)
    secret, source = found
    return Epoch(epoch, label, secret, source, inner_protection(agreement.suite, secret, agreement.draft))


def following_step(step: Epoch, agreement: Agreement | None) -> Epoch | None:
    """The generation of application keys behind that of a step."""
    if step.epoch != APPLICATION or agreement is None or not step.secret:
        return None
    secret = next_secret(agreement.suite, step.secret, agreement.draft)
    return step._replace(secret=secret, protection=inner_protection(agreement.suite, secret, agreement.draft))


def readable(agreement: Agreement) -> bool:
    """Whether suite and draft are among those that can be read."""
    chosen, draft = agreement.suite, agreement.draft
    return chosen.key_exchange == "TLS13" and chosen.decryptable and (not draft or draft >= hs.OLDEST_DRAFT)


def missing_bounds(step: Epoch, lost_bytes: int, first: int | None) -> tuple[int, int]:
    """The least and the most application bytes among lost ones, where a record opened behind them in ``step``.

    ``first`` is the number that was due, None in an earlier step. Exact, unless padding or messages that come with the
    first records (tickets) may be among the lost ones.
    """
    protection = step.protection
    if protection is None or step.epoch != APPLICATION:
        return 0, 0
    count = protection.sequence - 1 - (first or 0)
    if count <= 0:
        return 0, 0 if first is None else lost_bytes
    most = max(lost_bytes - count * (RECORD_HEADER_SIZE + protection.overhead), 0)
    return (most if first and not protection.padded else 0), most


def open_record(step: Epoch, record: Record) -> tuple[int, bytes] | None:
    """The inner type and the content of the next record under a step's keys."""
    protection = step.protection
    if protection is None:
        return None
    sequence = protection.sequence
    data = protection.open(record.content_type, record.version, record.fragment)
    if data is not None:
        return APPLICATION_DATA, data
    if protection.other_content is None:
        protection.sequence = sequence
    return protection.other_content


def early_ways(secret: bytes, source: int, suites: tuple[int, ...], versions: list[int]) -> Iterator[Epoch]:
    """Ways to open early data before the server has spoken: the offered suites with a hash of the secret's length."""
    drafts = {_dialect(ext.draft_of(version)) for version in versions}
    for chosen in map(suite, suites):
        if chosen.key_exchange == "TLS13" and chosen.decryptable and HASH_SIZES[chosen.prf_hash] == len(secret):
            for draft in sorted(drafts):
                yield Epoch(EARLY, EARLY_LABEL, secret, source, inner_protection(chosen, secret, draft))


def _dialect(draft: int) -> int:
    """One draft for all those that protect records in the same way."""
    return 0 if not draft or draft >= 25 else max(draft, hs.OLDEST_DRAFT)  # see protection13


def with_true_levels(data: bytes) -> bytes:
    """In TLS 1.3 the description alone decides whether an alert is fatal (RFC 8446 section 6)."""
    levels = bytearray(data)
    for at in range(0, len(data) - 1, 2):
        levels[at] = WARNING if data[at + 1] in CLOSING_ALERTS else FATAL
    return bytes(levels)
