"""What the records of an opaque connection betray: a HelloRequest among application data, and what followed it.

Up to TLS 1.2 record types stay in clear and a HelloRequest has one exact length. From these, the acknowledgement in its
segment, and who was sending, one can tell whether it fell into an upload. TLS 1.3 hides its types and is left out.
Nothing is concluded where bytes towards the client are missing: the answer may have been among them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from easpcap.diagnosis.hello_request import hello_request_sizes
from easpcap.fields import Fields
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.codepoints import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.results import Connection, RecordRun
    from easpcap.stream import Position

#: Handshake bytes of a client's second flight from which it must hold a certificate: a key exchange of a 4096-bit RSA
#: key with Finished and all overhead stays below.
CERTIFICATE_FLIGHT = 900


#: A record of the client that never became whole, and of which more than this came, is no ClientHello.
UNFINISHED_RECORD = 2048

#: HelloRequests looked at on one connection: more add nothing to a diagnosis, and each costs a walk over all runs.
MAX_HIDDEN = 16


class HiddenRenegotiation(Fields):
    """A record of a HelloRequest's exact length after application data had begun, and what stood around it."""

    hello: RecordRun
    upload: RecordRun  # the client's application data before it
    sent_beyond: int  # bytes of the client's application data that the server had not acknowledged
    client_hello: RecordRun | None  # the client's first handshake record after it
    completed: bool  # the server changed its cipher and sent its Finished
    certificate_flight: bool  # the client's second flight is too long to hold no certificate
    server_data: RecordRun | None  # the first application data of the server after it
    server_alert: RecordRun | None
    client_alert: RecordRun | None
    last_client_data: Position | None  # of application data, before anything of the server followed

    @property
    def mid_body(self) -> bool:
        """Whether the client went on with application data which the server had not yet when it asked."""
        return self.sent_beyond > 0


def hidden_renegotiations(connection: Connection) -> Iterator[HiddenRenegotiation]:
    """Every HelloRequest that can be recognised while a request was under way."""
    tls = connection.tls
    if tls is None or connection.gaps[TO_CLIENT]:
        return
    sizes = hello_request_sizes(tls.version, tls.cipher_suite)
    if not sizes:
        return
    for index in islice(_candidates(connection.record_runs, sizes), MAX_HIDDEN):
        upload = _unanswered_upload(connection.record_runs, index)
        if upload is not None:
            yield _around(connection, index, upload)


def _candidates(record_runs: list[RecordRun], sizes: frozenset[int]) -> Iterator[int]:
    """Places of the server's records with a HelloRequest's size that stand outside of any handshake."""
    in_handshake, last_server_type = True, 0
    application_data_begun = False
    for index, run in enumerate(record_runs):
        kind, from_server = run.content_type, run.direction == TO_CLIENT
        if kind == APPLICATION_DATA:
            # In a renegotiation the client may go on with application data; the server does so only after it.
            if from_server or not application_data_begun:
                in_handshake = False
            application_data_begun = True
        elif kind == HANDSHAKE:
            if from_server and last_server_type == CHANGE_CIPHER_SPEC:
                in_handshake = False  # this is its Finished
            elif from_server and not in_handshake and application_data_begun and _is_hello(run, sizes):
                yield index
            else:
                in_handshake = True
        if from_server:
            last_server_type = kind


def _is_hello(run: RecordRun, sizes: frozenset[int]) -> bool:
    return run.records == 1 and run.bytes == run.last_fragment_size and run.last_fragment_size in sizes


def _unanswered_upload(record_runs: list[RecordRun], index: int) -> int | None:
    """Place of the client's application data before ``index`` that the server has not answered yet, if there is any."""
    for place in range(index - 1, -1, -1):
        if record_runs[place].content_type == APPLICATION_DATA:
            return place if record_runs[place].direction == TO_SERVER else None
    return None


def _around(connection: Connection, index: int, upload: int) -> HiddenRenegotiation:
    """Gather what followed the HelloRequest at ``index``."""
    record_runs = connection.record_runs
    hello, after = record_runs[index], record_runs[index + 1 :]
    received = hello.first.acked
    server_data = _first(after, APPLICATION_DATA, TO_CLIENT)
    client_hello = _first(after, HANDSHAKE, TO_SERVER)
    beyond, last = 0, None
    for run in record_runs[upload:]:
        if run is server_data or run is client_hello:
            break
        if run.content_type != APPLICATION_DATA or run.direction != TO_SERVER:
            continue
        last = run.last
        if received is not None and run.end_offset > received:
            beyond = run.end_offset - received
    if received is not None and client_hello is None and server_data is None:
        end = _unfinished_record_end(connection)
        if end > received:
            beyond, last = end - received, connection.last_data[TO_SERVER]
    finished = _first_after_change(after, TO_CLIENT)
    return HiddenRenegotiation(
        hello=hello,
        upload=record_runs[upload],
        sent_beyond=beyond,
        client_hello=client_hello,
        completed=client_hello is not None and finished is not None,
        certificate_flight=_flight_after_server_hello(after) >= CERTIFICATE_FLIGHT,
        server_data=server_data,
        server_alert=_first(after, ALERT, TO_CLIENT),
        client_alert=_first(after, ALERT, TO_SERVER),
        last_client_data=last,
    )


def _unfinished_record_end(connection: Connection) -> int:
    """Where the client's stream ends within a record too long to be of a handshake; 0 where it does not."""
    whole = max((s.end_offset for s in connection.record_runs if s.direction == TO_SERVER), default=0)
    end = connection.payload_bytes[TO_SERVER] + connection.gaps[TO_SERVER]
    return end if end - whole > UNFINISHED_RECORD else 0


def _first(record_runs: list[RecordRun], content_type: int, direction: int) -> RecordRun | None:
    return next((s for s in record_runs if s.content_type == content_type and s.direction == direction), None)


def _first_after_change(record_runs: list[RecordRun], direction: int) -> RecordRun | None:
    """The first handshake record under new keys, which is a Finished."""
    changed = False
    for run in record_runs:
        if run.direction == direction:
            if changed and run.content_type == HANDSHAKE:
                return run
            changed = run.content_type == CHANGE_CIPHER_SPEC
    return None


def _flight_after_server_hello(record_runs: list[RecordRun]) -> int:
    """Handshake bytes that the client sent between the server's flight and its own ChangeCipherSpec."""
    server_spoke, total = False, 0
    for run in record_runs:
        if run.direction == TO_CLIENT:
            server_spoke = server_spoke or run.content_type == HANDSHAKE
        elif run.content_type == CHANGE_CIPHER_SPEC:
            break
        elif server_spoke and run.content_type == HANDSHAKE:
            total += run.bytes
    return total
