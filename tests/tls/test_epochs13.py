"""The epochs of TLS 1.3: which keys come next, which early data may be, what lost records may have held."""

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
from easpcap.tls.session import epochs13
from easpcap.tls.session.epochs13 import DirectionEpochs, Epoch
from easpcap.tls.suites.suite import suite

SHA256, SHA384 = os.urandom(32), os.urandom(48)


class Finder:
    """Has the secrets of one key log, by label."""

    def __init__(self, **secrets):
        self.secrets = secrets

    def traffic_secret(self, _client_random, label):
        secret = self.secrets.get(label)
        return None if secret is None else (secret, 7)


def agreement(value=0x1301, draft=0):
    return Agreement(
        0x0304, suite(value), 0, b"c" * 32, b"s" * 32, encrypt_then_mac=False, extended_master=False, draft=draft
    )


def epoch(stage=APPLICATION, secret=SHA256, **options):
    return Epoch(stage, "LABEL", secret, 7, tls13_protection(suite(0x1301), secret, **options))


def opened(present, count, *, padded=False):
    """The epoch after its ``count`` first records, of which one was opened."""
    present.protection.sequence, present.protection.padded = count, padded
    return present


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_the_secrets_of_a_direction_come_from_its_own_labels(direction):
    handshake, application = os.urandom(32), os.urandom(32)
    labels = epochs13.LABELS[direction]
    finder = Finder(**dict(zip(labels, (handshake, application), strict=True)))
    known = epochs13.known_epochs(finder, agreement(), direction)
    assert [(each.stage, each.label, each.secret, each.source) for each in known] == [
        (HANDSHAKE, labels[0], handshake, 7),
        (APPLICATION, labels[1], application, 7),
    ]
    assert all(each.protection is None for each in epochs13.known_epochs(finder, agreement(), 1 - direction))


def test_a_secret_whose_length_is_not_that_of_the_hash_is_not_used():
    finder = Finder(CLIENT_HANDSHAKE_TRAFFIC_SECRET=SHA384, CLIENT_TRAFFIC_SECRET_0=SHA256)
    first, second = epochs13.known_epochs(finder, agreement(0x1301), TO_SERVER)
    assert (first.protection, first.secret) == (None, b"")
    assert second.protection is not None


def test_a_key_update_derives_the_next_secret_from_the_present_one():
    present = epoch()
    following = epochs13.next_generation(present, agreement())
    assert following.secret == next_secret(suite(0x1301), SHA256, 0)
    assert (following.stage, following.label, following.source) == (APPLICATION, "LABEL", 7)
    assert following.protection.sequence == 0


@pytest.mark.parametrize(
    ("present", "agreed"),
    [(epoch(HANDSHAKE), agreement()), (epoch(), None), (Epoch(APPLICATION, "LABEL", b"", None, None), agreement())],
    ids=["handshake", "nothing-agreed", "secret-unknown"],
)
def test_without_a_known_application_secret_there_is_no_next_generation(present, agreed):
    assert epochs13.next_generation(present, agreed) is None


@pytest.mark.parametrize(
    ("value", "draft", "supported"),
    [(0x1301, 0, True), (0x1305, 0, True), (0x1301, 18, True), (0x1301, 17, False), (0xC02F, 0, False)],
)
def test_only_suites_of_tls13_and_drafts_from_18_are_supported(value, draft, supported):
    assert epochs13.is_supported(agreement(value, draft)) is supported


def test_early_data_may_be_protected_by_any_offered_suite_whose_hash_has_the_length_of_the_secret():
    offered = (0x1301, 0x1302, 0x1303, 0xC02F)
    assert len(list(epochs13.early_epochs(SHA256, 7, offered, [0x0304]))) == 2  # AES-128-GCM and ChaCha20 with SHA-256
    assert len(list(epochs13.early_epochs(SHA384, 7, offered, [0x0304]))) == 1
    assert all(each.stage == EARLY for each in epochs13.early_epochs(SHA256, 7, offered, [0x0304]))


def test_drafts_that_protect_records_alike_are_tried_once():
    dialects = [0x0304, 0x7F1C, 0x7F1A, 0x7F17, 0x7F12]  # TLS 1.3, and the drafts 28, 26, 23, 18
    assert len(list(epochs13.early_epochs(SHA256, 7, (0x1301,), dialects))) == 3


# -- lost records -----------------------------------------------------------------------------------------------------

OVERHEAD = 5 + 16 + 1  # header, tag and inner type of a record


def test_lost_records_of_one_epoch_held_exactly_what_their_headers_and_tags_leave():
    assert epochs13.lost_plaintext(opened(epoch(), 6), 2 * OVERHEAD + 700, first=3) == (700, 700)


def test_padding_may_fill_lost_records():
    assert epochs13.lost_plaintext(opened(epoch(), 6, padded=True), 2 * OVERHEAD + 700, first=3) == (0, 700)


def test_the_first_records_of_an_epoch_may_be_messages():
    assert epochs13.lost_plaintext(opened(epoch(), 3), 2 * OVERHEAD + 700, first=0) == (0, 700)


def test_where_the_loss_began_in_an_earlier_epoch_only_the_most_is_known():
    assert epochs13.lost_plaintext(opened(epoch(), 2), OVERHEAD + 700, first=None) == (0, 700)
    assert epochs13.lost_plaintext(opened(epoch(), 1), 700, first=None) == (0, 0)


def test_bytes_without_a_lost_record_may_all_be_data_within_one_epoch():
    assert epochs13.lost_plaintext(opened(epoch(), 4), 700, first=3) == (0, 700)


def test_lost_records_of_the_handshake_held_no_application_data():
    assert epochs13.lost_plaintext(opened(epoch(HANDSHAKE), 6), 5000, first=0) == (0, 0)


# -- early data that waits --------------------------------------------------------------------------------------------


def test_early_data_is_held_up_to_the_limit_and_taken_once():
    state, record = DirectionEpochs(), Record(23, 0x0303, b"", 0, 5)
    half = bytes(MAX_EARLY_DATA // 2)
    assert [state.hold(record, half), state.hold(record, half), state.hold(record, b"x")] == [True, True, False]
    assert [len(data) for _, data in state.take_held()] == [len(half), len(half)]
    assert state.take_held() == []


def test_a_direction_without_known_epochs_counts_as_application_data():
    state = DirectionEpochs()
    assert state.stage == APPLICATION
    state.epochs = [epoch(HANDSHAKE), epoch()]
    assert state.stage == HANDSHAKE


def test_the_level_of_an_alert_follows_from_its_description():
    sent = bytes([2, 0, 1, 40, 1, 90, 2, 90])  # close_notify, handshake_failure, user_canceled twice
    assert epochs13.with_implied_levels(sent) == bytes([1, 0, 2, 40, 1, 90, 1, 90])
    assert epochs13.with_implied_levels(bytes([1, 40, 1])) == bytes([2, 40, 1])
