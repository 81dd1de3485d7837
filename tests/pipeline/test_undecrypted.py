"""Which record is named as the first that was not decrypted, and whether decryption went on after it."""

from __future__ import annotations

from easpcap.pipeline.undecrypted import UndecryptedTracker
from easpcap.results import FirstUndecrypted
from easpcap.stream import TO_CLIENT, TO_SERVER, Position


def tracker():
    return UndecryptedTracker(lambda _direction, offset: Position(0, offset + 1, 0, None))


def test_a_record_before_all_that_was_decrypted_is_not_named():
    found = tracker()
    found.not_decrypted(TO_SERVER, 10)
    found.decrypted(TO_SERVER)
    assert found.first is None


def test_the_first_record_that_was_not_decrypted_is_named_and_no_later_one():
    found = tracker()
    found.decrypted(TO_CLIENT)
    found.not_decrypted(TO_SERVER, 10)
    found.not_decrypted(TO_SERVER, 20)
    assert found.first == FirstUndecrypted(TO_SERVER, 10, 11)


def test_decryption_went_on_only_where_the_same_direction_was_decrypted_later():
    found = tracker()
    found.decrypted(TO_SERVER)
    found.not_decrypted(TO_SERVER, 10)
    found.decrypted(TO_CLIENT)
    assert not found.decrypted_later
    found.decrypted(TO_SERVER)
    assert found.decrypted_later
