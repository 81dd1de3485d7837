"""The epochs that a direction of a TLS 1.3 connection passes through, and the keys of each (RFC 8446 section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.facts import CLOSING_ALERTS, FATAL, WARNING
from easpcap.limits import MAX_EARLY_DATA
from easpcap.tls.codepoints import APPLICATION_DATA, MESSAGE_HEADER_SIZE, RECORD_HEADER_SIZE
from easpcap.tls.handshake import extensions as ext
from easpcap.tls.handshake import messages as hs
from easpcap.tls.handshake.encrypted13 import APPLICATION, EARLY, HANDSHAKE
from easpcap.tls.protection.tls13 import Tls13Protection, tls13_protection
from easpcap.tls.secrets.schedule13 import HASH_SIZES, next_secret
from easpcap.tls.suites.suite import suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.tls.handshake.key_finder import KeyFinder
    from easpcap.tls.handshake.negotiation import Agreement
    from easpcap.tls.record.records import Record

_KEY_UPDATE_SIZE: Final = MESSAGE_HEADER_SIZE + 1  # RFC 8446 section 4.6.3

EARLY_LABEL: Final = "CLIENT_EARLY_TRAFFIC_SECRET"
#: Labels of RFC 9850 by direction, for the handshake and for application data.
LABELS: Final = (
    ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"),
    ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"),
)


class Epoch(NamedTuple):
    """An epoch that a direction is in or may come to.

    ``stage``: EARLY, HANDSHAKE or APPLICATION. ``label``: what a key log calls its secret. ``source``: the key log it
    came from. ``protection``: None where the secret is not known. ``alternatives``: the same epoch under other secrets
    that key logs give for it, until one of them opens a record.
    """

    stage: int
    label: str
    secret: bytes
    source: int | None
    protection: Tls13Protection | None
    alternatives: tuple[Epoch, ...] = ()

    def __repr__(self) -> str:
        return f"Epoch({self.label}, known={self.protection is not None})"

    @property
    def variants(self) -> tuple[Epoch, ...]:
        """This epoch and its alternatives, to be tried one after the other."""
        return (self, *self.alternatives)


class DirectionEpochs:
    """The epochs of one direction, from the present one on.

    ``held``: early data, until it is known whether the server took it. ``unopened_records`` and ``unopened_bytes``:
    records that no key opened, which may be of the handshake or early data.
    """

    __slots__ = ("_held_bytes", "epochs", "held", "unopened_bytes", "unopened_records")

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self.held: list[tuple[Record, bytes]] = []
        self.unopened_records = 0
        self.unopened_bytes = 0
        self._held_bytes = 0

    @property
    def stage(self) -> int:
        """The stage of the present epoch."""
        return self.epochs[0].stage if self.epochs else APPLICATION

    def hold(self, record: Record, data: bytes) -> bool:
        """Hold early data back. Returns False, and holds nothing, where it would exceed MAX_EARLY_DATA.

        Where the server does not take early data, the client sends it again after the handshake.
        """
        if self._held_bytes + len(data) > MAX_EARLY_DATA:
            return False
        self.held.append((record, data))
        self._held_bytes += len(data)
        return True

    def take_held(self) -> list[tuple[Record, bytes]]:
        """The early data held so far, which is held no longer."""
        held, self.held = self.held, []
        return held


def known_epochs(finder: KeyFinder, agreement: Agreement, direction: int) -> list[Epoch]:
    """The handshake and application epochs of a direction, with their keys where the key log has the secrets."""
    return [
        _known_epoch(finder, agreement, stage, label)
        for stage, label in zip((HANDSHAKE, APPLICATION), LABELS[direction], strict=True)
    ]


def _known_epoch(finder: KeyFinder, agreement: Agreement, stage: int, label: str) -> Epoch:
    size = HASH_SIZES[agreement.suite.prf_hash]
    epochs = [
        Epoch(stage, label, secret, source, tls13_protection(agreement.suite, secret, agreement.draft))
        for secret, source in finder.traffic_secrets(agreement.client_random or b"", label, size)
    ]
    return epochs[0]._replace(alternatives=tuple(epochs[1:])) if epochs else Epoch(stage, label, b"", None, None)


def next_generation(epoch: Epoch, agreement: Agreement | None) -> Epoch | None:
    """The epoch that a KeyUpdate begins (RFC 8446 section 7.2); None where the present secret is not known."""
    if epoch.stage != APPLICATION or agreement is None or not epoch.secret:
        return None
    secret = next_secret(agreement.suite, epoch.secret, agreement.draft)
    protection = tls13_protection(agreement.suite, secret, agreement.draft)
    return epoch._replace(secret=secret, protection=protection, alternatives=())


def is_supported(agreement: Agreement) -> bool:
    """Whether suite and draft are among those that can be read."""
    chosen, draft = agreement.suite, agreement.draft
    return chosen.key_exchange == "TLS13" and chosen.decryptable and (not draft or draft >= hs.OLDEST_DRAFT)


def lost_plaintext(epoch: Epoch, lost_bytes: int, first: int | None, *, key_update: bool = False) -> tuple[int, int]:
    """The least and the most application bytes in ``lost_bytes`` bytes of records, before one that opened in ``epoch``.

    ``first``: the number of the first lost record; None where the loss began in an earlier epoch, and ``key_update``
    then says whether a KeyUpdate was lost, before which there may have been data too. The bounds are equal unless
    records may be padded, or the first records are among the lost ones: these may be messages (tickets).
    """
    protection = epoch.protection
    if protection is None or epoch.stage != APPLICATION:
        return 0, 0
    count = protection.sequence - 1 - (first or 0)
    if key_update:
        count, lost_bytes = count + 1, lost_bytes - _KEY_UPDATE_SIZE
    if count <= 0:
        return 0, 0 if first is None else lost_bytes
    most = max(lost_bytes - count * (RECORD_HEADER_SIZE + protection.overhead), 0)
    return (most if first and not protection.padded else 0), most


def open_record(epoch: Epoch, record: Record) -> tuple[int, bytes] | None:
    """The inner content type and the content of the next record of an epoch; None where its keys do not open it."""
    protection = epoch.protection
    if protection is None:
        return None
    sequence = protection.sequence
    data = protection.open(record.content_type, record.version, record.fragment)
    if data is not None:
        return APPLICATION_DATA, data
    if protection.other_content is None:
        protection.sequence = sequence
    return protection.other_content


def early_epochs(secret: bytes, source: int, suites: tuple[int, ...], versions: list[int]) -> Iterator[Epoch]:
    """The ways in which early data may be protected, as far as the ClientHello says: one for each suite and dialect.

    ``suites`` and ``versions``: what the client offers. A suite is possible if its hash is as long as the secret.
    """
    drafts = {_dialect(ext.draft_of(version)) for version in versions}
    for chosen in map(suite, dict.fromkeys(suites)):
        if chosen.key_exchange == "TLS13" and chosen.decryptable and HASH_SIZES[chosen.prf_hash] == len(secret):
            for draft in sorted(drafts):
                yield Epoch(EARLY, EARLY_LABEL, secret, source, tls13_protection(chosen, secret, draft))


def _dialect(draft: int) -> int:
    """One draft for all that protect records in the same way (see protection/tls13.py)."""
    return 0 if not draft or draft >= 25 else max(draft, hs.OLDEST_DRAFT)


def with_implied_levels(data: bytes) -> bytes:
    """Alerts with the level that their description implies: TLS 1.3 ignores the one sent (RFC 8446 section 6)."""
    levels = bytearray(data)
    for at in range(0, len(data) - 1, 2):
        levels[at] = WARNING if data[at + 1] in CLOSING_ALERTS else FATAL
    return bytes(levels)
