"""The epochs of TLS 1.3 and what is concluded from their keys: candidates for early data, generations, lost bytes."""

from __future__ import annotations

import os

import pytest

from easpcap.limits import MAX_EARLY_DATA
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.handshake.encrypted13 import APPLICATION, EARLY, HANDSHAKE
from easpcap.tls.handshake.negotiation import Agreement
from easpcap.tls.protection.tls13 import tls13_protection
from easpcap.tls.record.records import Record
from easpcap.tls.secrets.schedule13 import next_secret
from easpcap.tls.session.epochs13 import (
    LABELS,
    DirectionEpochs,
    Epoch,
    early_epochs,
    is_supported,
    known_epochs,
    lost_plaintext,
    next_generation,
    open_record,
    with_implied_levels,
)
from easpcap.tls.suites.suite import suite
from tests.support.tls13_script import Tls13Script

AES128, AES256, CHACHA = 0x1301, 0x1302, 0x1303
OVERHEAD = 5 + 1 + 16  # header, inner content type, tag
SECRET = bytes(range(32))


def agreed(value=AES128, draft=0):
    return Agreement(0x0304, suite(value), 0, bytes(32), bytes(32), False, False, draft)


def epoch(stage=APPLICATION, secret=SECRET, sequence=0):
    protection = tls13_protection(suite(AES128), secret)
    protection.sequence = sequence
    return Epoch(stage, "label", secret, 7, protection)


def records(count):
    """Records of application data under SECRET, each with one byte."""
    script = Tls13Script()
    script.under(0, SECRET)
    for number in range(count):
        script.data(0, bytes([number]))
    return [Record(wire[0], 0x0303, wire[5:], 0, len(wire)) for _, wire in script.flights]


# -- generations -------------------------------------------------------------------------------------------------------


def test_the_next_generation_has_the_updated_secret_and_counts_from_zero():
    following = next_generation(epoch(sequence=9), agreed())
    assert following.secret == next_secret(suite(AES128), SECRET)
    assert (following.stage, following.source, following.protection.sequence) == (APPLICATION, 7, 0)


@pytest.mark.parametrize("present", [epoch(HANDSHAKE), epoch(EARLY), epoch()._replace(secret=b"")])
def test_only_application_data_with_a_known_secret_has_a_next_generation(present):
    assert next_generation(present, agreed()) is None
    assert next_generation(epoch(), None) is None


# -- opening -----------------------------------------------------------------------------------------------------------


def test_a_record_that_does_not_open_leaves_the_count_as_it_was():
    first, second = records(2)
    present = epoch()
    assert open_record(present, second) is None
    assert open_record(present, first) == (23, b"\0")
    assert open_record(present, second) == (23, b"\1")


def test_without_keys_nothing_opens():
    assert open_record(epoch()._replace(protection=None), records(1)[0]) is None


# -- early data --------------------------------------------------------------------------------------------------------


def test_early_data_may_be_under_any_offered_suite_whose_hash_has_the_length_of_the_secret():
    offered = (AES256, AES128, CHACHA, 0xC02F)
    assert len(list(early_epochs(bytes(32), 7, offered, [0x0304]))) == 2
    assert len(list(early_epochs(bytes(48), 7, offered, [0x0304]))) == 1
    assert list(early_epochs(bytes(20), 7, offered, [0x0304])) == []


def test_drafts_that_protect_records_alike_are_tried_once():
    alike = [0x0304, 0x7F1C, 0x7F1A]  # TLS 1.3, drafts 28 and 26
    assert len(list(early_epochs(bytes(32), 7, (AES128,), alike))) == 1
    assert len(list(early_epochs(bytes(32), 7, (AES128,), [*alike, 0x7F12]))) == 2


def test_early_data_is_held_up_to_its_limit():
    state, record = DirectionEpochs(), records(1)[0]
    assert state.hold(record, bytes(MAX_EARLY_DATA - 1))
    assert not state.hold(record, bytes(2))
    assert state.hold(record, bytes(1))
    assert [len(data) for _, data in state.take_held()] == [MAX_EARLY_DATA - 1, 1]
    assert state.take_held() == []


def test_a_direction_without_known_epochs_is_taken_to_carry_application_data():
    state = DirectionEpochs()
    assert state.stage == APPLICATION
    state.epochs = [epoch(HANDSHAKE), epoch()]
    assert state.stage == HANDSHAKE


# -- lost bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "sequence", "lost", "bounds"),
    [
        (3, 6, 2 * OVERHEAD + 500, (500, 500)),  # records 3 and 4 are lost, 5 was opened
        (3, 4, 40, (0, 40)),  # no whole record is lost: the bytes are no records
        (0, 3, 2 * OVERHEAD + 500, (0, 500)),  # the first records may be tickets
        (None, 3, 2 * OVERHEAD + 500, (0, 500)),  # the loss began in the handshake
        (None, 1, 700, (0, 0)),  # all that was lost belongs to the handshake
        (3, 6, 10, (0, 0)),
    ],
)
def test_the_number_of_lost_records_bounds_the_plaintext_among_them(first, sequence, lost, bounds):
    assert lost_plaintext(epoch(sequence=sequence), lost, first) == bounds


def test_padding_leaves_only_the_upper_bound():
    present = epoch(sequence=6)
    present.protection.padded = True
    assert lost_plaintext(present, 2 * OVERHEAD + 500, 3) == (0, 500)


def test_a_lost_key_update_takes_a_record_and_five_bytes():
    assert lost_plaintext(epoch(sequence=1), OVERHEAD + 5, None, key_update=True) == (0, 0)
    assert lost_plaintext(epoch(sequence=2), 3 * OVERHEAD + 5 + 200, None, key_update=True) == (0, OVERHEAD + 200)


def test_a_handshake_has_no_application_data():
    assert lost_plaintext(epoch(HANDSHAKE, sequence=6), 1000, 3) == (0, 0)


# -- what can be read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "draft", "supported"), [(AES128, 0, True), (AES128, 18, True), (AES128, 17, False), (0x002F, 0, False)]
)
def test_suites_of_tls_1_3_are_supported_from_draft_18_on(value, draft, supported):
    assert is_supported(agreed(value, draft)) is supported


def test_an_alert_is_fatal_by_its_description_whatever_level_was_sent():
    assert with_implied_levels(b"\2\0\1\x28\2\x5a\7") == b"\1\0\2\x28\1\x5a\7"


# -- the secrets of a key log ---


class Finder:
    """Has the secrets of one key log, by label."""

    def __init__(self, **secrets):
        self.secrets = secrets

    def traffic_secrets(self, _client_random, label, size):
        secret = self.secrets.get(label, b"")
        return [(secret, 7)] if len(secret) == size else []


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_the_secrets_of_a_direction_come_from_its_own_labels(direction):
    handshake, application = os.urandom(32), os.urandom(32)
    labels = LABELS[direction]
    finder = Finder(**dict(zip(labels, (handshake, application), strict=True)))
    known = known_epochs(finder, agreed(), direction)
    assert [(each.stage, each.label, each.secret, each.source) for each in known] == [
        (HANDSHAKE, labels[0], handshake, 7),
        (APPLICATION, labels[1], application, 7),
    ]
    assert all(each.protection is None for each in known_epochs(finder, agreed(), 1 - direction))


def test_a_secret_whose_length_is_not_that_of_the_hash_is_not_used():
    finder = Finder(CLIENT_HANDSHAKE_TRAFFIC_SECRET=os.urandom(48), CLIENT_TRAFFIC_SECRET_0=SECRET)
    first, second = known_epochs(finder, agreed(0x1301), TO_SERVER)
    assert (first.protection, first.secret) == (None, b"")
    assert second.protection is not None
