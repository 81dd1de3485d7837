"""What is inferred without keys: each inferred finding is one that the decrypted capture has too."""

from __future__ import annotations

import pytest

from easpcap.diagnosis.inference import hidden_renegotiations
from easpcap.pipeline import analyze
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.diagnosis.builders import Story
from tests.diagnosis.test_opaque import CCS, DATA, HANDSHAKE, HELLO, handshake, renegotiate, upload
from tests.pipeline.captures import CAPTURES, KEY


def renegotiation_findings(analysis):
    """(rule, connection) of what the renegotiation rules found."""
    return {
        (finding.rule, number)
        for finding in analysis.findings
        if finding.rule.startswith("renegotiation-")
        for number in finding.connections
    }


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_inferred_findings_agree_with_the_decrypted_ones_of_the_same_capture(path):
    key_log = path.with_suffix(".keys")
    opened = analyze([str(path)], keys=[KEY], key_logs=[str(key_log)] if key_log.exists() else [])
    opaque = analyze([str(path)])
    read = {connection.id for connection in opened.connections if connection.decryption.status == "decrypted"}
    inferred = {found for found in renegotiation_findings(opaque) if found[1] in read}
    assert inferred <= renegotiation_findings(opened)
    if path.stem == "renegotiation-deadlock":
        assert inferred


def hidden(story):
    """What is recognised on the connection of a story."""
    return list(hidden_renegotiations(story.connection()))


def test_a_hello_request_in_an_upload_says_what_had_not_reached_the_server():
    (found,) = hidden(upload())
    assert found.sent_beyond == 7 * (16_408 + 5)
    assert found.mid_body
    assert (found.client_hello, found.server_data, found.completed) == (None, None, False)


def test_the_next_handshake_is_complete_with_the_servers_finished():
    (found,) = hidden(renegotiate(upload()).records(TO_CLIENT, DATA, 300))
    assert found.completed
    assert found.certificate_flight
    assert found.server_data is not None
    assert found.client_hello.last_fragment_size == 208


def test_a_short_flight_contains_no_certificate():
    (found,) = hidden(renegotiate(upload(), certificate=False))
    assert not found.certificate_flight


def test_a_change_cipher_spec_without_a_finished_does_not_complete_a_handshake():
    story = upload().records(TO_SERVER, HANDSHAKE, 208).records(TO_CLIENT, HANDSHAKE, 105, 1660)
    (found,) = hidden(story.records(TO_CLIENT, CCS, 25))
    assert not found.completed


def test_two_records_in_one_run_are_not_a_hello_request():
    assert hidden(handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, 30, HELLO)) == []


def test_at_most_sixteen_hello_requests_are_examined_on_one_connection():
    story = handshake()
    for _ in range(20):
        story.records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, HELLO)
    assert len(hidden(story)) == 16


def test_missing_bytes_towards_the_client_leave_nothing_to_infer():
    assert hidden(upload().gap(TO_CLIENT)) == []
    assert len(hidden(upload().gap(TO_SERVER))) == 1


@pytest.mark.parametrize(("size", "beyond"), [(2_048, 0), (2_049, 2_049)])
def test_only_an_unfinished_record_that_is_too_long_for_a_client_hello_counts_as_upload(size, beyond):
    story = handshake().records(TO_SERVER, DATA, 268).records(TO_CLIENT, HANDSHAKE, HELLO).unfinished(size)
    (found,) = hidden(story)
    assert found.sent_beyond == beyond


def test_a_connection_without_tls_has_none():
    story = Story()
    story.tls = None
    assert hidden(story) == []
