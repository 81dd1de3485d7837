"""The results of an analysis: connections, exchanges, facts, findings, anomalies. Data classes without behaviour.

The pipeline fills them, diagnosis adds findings, report renders them. Times are nanoseconds since 1970 UTC; frames
count from 1 over all captures. Unknown is None, never 0 or "".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from easpcap.fields import Fields, field
from easpcap.stream import Position

if TYPE_CHECKING:
    from easpcap.activesync.command import Command
    from easpcap.facts import Occurrence
    from easpcap.http.exchange import Exchange
    from easpcap.key_problems import FolderContents, KeyProblem
    from easpcap.stream import Endpoint
    from easpcap.tls.handshake.verdict import Unsupported
    from easpcap.tls.reasons import Reason, Status


class InputFile(Fields):
    """One capture as read."""

    path: str
    sha256: str
    format: str  # pcap, pcapng, snoop, netmon, or tshark, which converted it; with "+gzip" where compressed
    link_types: list[str]
    packets: int
    first_time: int | None
    last_time: int | None
    truncated: bool
    first_frame: int = 1  # merged frame number of its first packet
    clock_offset: int = 0  # ns by which its clock is ahead of the other captures'; only its own times are not corrected
    copies: int = 0  # packets that another capture has too, which were counted once
    clock_steps: tuple[tuple[int, int], ...] = ()  # (packet of this capture from 1, ns) where its times go back
    clock_end: int | None = None  # the latest time, if its times had not gone back
    damaged_places: int = 0  # where it could not be read although it goes on, or its compression is damaged
    dropped_packets: int | None = None  # by the capturing machine, as it says; None: it does not say
    large_segments: int = 0  # larger than any frame: captured before segmentation, or after it was undone
    unread_bytes: int = 0  # skipped or left unread at those places, as far as they can be counted

    @property
    def last_time_corrected(self) -> int | None:
        """``last_time`` by the clock of the other captures."""
        return None if self.last_time is None else self.last_time - self.clock_offset


class KeyFile(Fields):
    """One key or key log file as given, never its contents."""

    path: str
    kind: str  # rsa-private-key, key-log, embedded-key-log (in a pcapng), folder, unusable
    fingerprint: str | None = None  # sha256 of the SubjectPublicKeyInfo of the first key, hex
    rsa_bits: tuple[int, ...] = ()  # size of each private key
    secrets: int = 0  # usable lines of a key log
    folder: FolderContents | None = None
    matches: list[int] = field(default_factory=list)  # ids of connections it opened, or whose certificate it fits
    problem: KeyProblem | None = None  # why it, or a part of it, cannot be used


class Fact(Fields):
    """Something that happened at one place of a connection; ``direction`` is the one that its sender writes to."""

    what: Occurrence
    direction: int
    position: Position

    @property
    def kind(self) -> str:
        """The stable name of what happened, such as "client-hello"; easpcap.facts defines them."""
        return self.what.kind


class RecordRun(Fields):
    """Consecutive records of one type and direction on an opaque connection: all that is visible without keys."""

    content_type: int  # 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data
    direction: int
    first: Position
    last: Position
    end_offset: int  # offset in its TCP stream after the last record
    records: int
    bytes: int  # of the fragments
    #: bytes of the last record's fragment, for recognising a HelloRequest by its exact length
    last_fragment_size: int


class Renegotiation(Fields):
    """A handshake after the first on a connection, or an attempt at one."""

    by: str  # server, client
    position: Position  # of the HelloRequest (or the ClientHello, if the client began)
    exchange: Exchange | None  # whose request was under way or whose response was awaited
    body_offset_sent: int | None  # body bytes the client had sent, as far as the capture shows them
    body_offset_acknowledged: int | None  # body bytes the server had received when it asked
    body_offset_sent_most: int | None = None  # above a gap both are the least there can be; this is the most
    body_offset_acknowledged_most: int | None = None
    outcome: str = "unanswered"  # full, abbreviated, refused, failed, unanswered, post-handshake
    certificate_requested: bool = False
    certificate_presented: bool | None = None  # None: not requested or not seen; False: an empty Certificate
    mid_body: bool = False  # the server had received the head, and not yet the last announced body byte
    awaiting_continue: bool = False  # the client was holding its body for 100 Continue
    client_hello: Position | None = None
    done: Position | None = None  # the second Finished
    alert: Position | None = None
    alert_name: str = ""


class TlsSummary(Fields):
    """The TLS session of a connection."""

    version: str | None  # "TLS 1.2"
    cipher_suite: str | None  # IANA name, or "0xc02f" where unknown
    server_name: str | None
    handshakes: int
    resumed: str | None  # session-id, ticket, psk
    certificate_requested: str | None  # first-handshake, later
    certificate_presented: bool | None
    renegotiations: list[Renegotiation] = field(default_factory=list)
    server_certificate: bytes | None = None  # DER of the leaf


class FirstUndecrypted(NamedTuple):
    """The first record that was not decrypted on a connection whose earlier records were."""

    direction: int
    offset: int  # of the record in its TCP stream
    frame: int


class Decryption(Fields):
    """What could be decrypted, and if not all of it, the first reason that applies. Reports word it."""

    status: Status
    reason: Reason | None = None  # None: everything was decrypted, or there was nothing to decrypt
    # What a report needs to say what to do; which of these are known depends on the reason.
    key_log_given: bool = False
    missing_secrets: tuple[str, ...] = ()  # labels that the key log lacks, though it has others of this connection
    thumbprint: str | None = None  # of the server's certificate: SHA-1 of its DER, upper-case hex
    unsupported: Unsupported | None = None
    record_types_hidden: bool = False  # TLS 1.3 encrypts the record types too
    later_handshake: int | None = None  # which one lacks its secrets, where it is not the first (2: the second)
    hides_later_handshake: bool = False  # the first one lacks its secrets, and another is encrypted under them
    first_undecrypted: FirstUndecrypted | None = None  # status ``partial`` only
    decrypted_later: bool = False  # records after it were decrypted again


class Connection(Fields):
    """One TCP connection, from its first packet to its last."""

    id: int  # by first packet over all connections; before `judge`: the frame of its first packet
    client: Endpoint
    server: Endpoint
    roles_known_by: str  # syn, syn-ack, protocol, port, first-packet
    first: Position
    last: Position
    packets: int
    payload_bytes: tuple[int, int]
    gaps: tuple[int, int]
    closed_by: str  # client-fin, client-rst, server-fin, server-rst, open
    tls: TlsSummary | None
    decryption: Decryption
    exchanges: list[Exchange] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    record_runs: list[RecordRun] = field(default_factory=list)
    key_sources: frozenset[int] = frozenset()  # numbers of the key files that opened it
    certificate_key: int | None = None  # number of the private key file that belongs to its server's certificate
    digest: tuple[tuple[int, str], tuple[int, str]] | None = None  # (bytes, sha256 hex) per direction
    last_data: list[Position | None] = field(default_factory=lambda: [None, None])  # last payload byte per direction


class LocatedAnomaly(Fields):
    """Something odd, with its frame where that is known."""

    code: str
    connection: int | None
    frame: int | None
    time: int | None
    detail: str


class LogLine(NamedTuple):
    """One line of a log file, cited where no frame shows the event."""

    input: str  # path of the log as given
    line: int  # from 1
    time_ns: int  # as logged, in UTC


#: A reference to evidence: a frame of a capture, or a line of a log.
Citation: TypeAlias = Position | LogLine


class Evidence(Fields):
    """One frame or log line that supports a finding, and what it shows."""

    citation: Citation
    what: str

    @property
    def position(self) -> Position | None:
        """The frame cited, or None for a log line."""
        return self.citation if isinstance(self.citation, Position) else None


class Remedy(NamedTuple):
    """One thing to change for one product. Renderers word it; its texts are whole phrases or sentences.

    The administrator replaces names in capitals or braces in a command (``HASH``, ``{GUID}``) as ``notes`` say.
    """

    action: str  # what to achieve: an instruction without a full stop
    where: str  # product and version
    source: str  # the document that describes it
    takes_effect: str | None = None  # "for new connections at once"; None where nothing is changed
    commands: tuple[str, ...] = ()  # lines to type, or directives to write, in order
    shell: str | None = None  # where the commands go: cmd, apache-configuration, nginx-configuration; None without any
    notes: tuple[str, ...] = ()  # what to replace or check before typing
    verify: tuple[str, ...] = ()  # how to check that it worked
    undo: tuple[str, ...] = ()
    beware: tuple[str, ...] = ()  # side effects
    documented: bool = True  # False: reported from practice, not in a vendor's documentation
    stop_gap: bool = False  # helps for a while, or at a price; the fault stays


class InputFilter(NamedTuple):
    """A Wireshark display filter for one capture of several."""

    input: str  # path as given
    wireshark_filter: str


class Finding(Fields):
    """A conclusion with its evidence, what speaks against it, and what to change."""

    rule: str
    severity: str  # notice, warning, critical
    confidence: str  # proven, inferred
    connections: list[int]
    exchanges: list[Exchange]
    title: str  # one line, the fault in plain words
    detail: str
    evidence: list[Evidence]
    against: list[str]
    remedies: list[Remedy]  # what to change, the best first
    wireshark_filter: str  # for all captures joined into one, as `mergecap -a` does it
    related: list[int] = field(default_factory=list)  # ids of findings about the same exchange
    id: int = -1
    input_filters: list[InputFilter] = field(default_factory=list)  # one for each capture that shows a part of it


class Cause(Fields):
    """Findings of one rule, grouped."""

    rule: str
    severity: str
    findings: list[int]
    exchanges: int
    devices: int
    first_time: int | None
    last_time: int | None


class Concern(Fields):
    """Something that failed or was left unread, and that no finding explains: ``count`` times, first at ``frame``.

    The kinds, and what ``names`` holds: error-response (the status), abandoned, interrupted, unanswered,
    handshake-failed (the alert, and who sent it), handshake-unfinished (who closed), unanswered-hello-request, refused,
    reset, not-decrypted and partly-decrypted (the reason), not-understood, missing-bytes, damaged-file,
    packets-not-read (the reason).
    """

    kind: str
    count: int
    names: tuple[str, ...] = ()
    connection: int | None = None
    frame: int | None = None


class Overview(Fields):
    """The verdict on the whole capture.

    fault: a finding of warning or critical. look: something is of concern, and no such finding explains it. clear:
    every request was read and answered, and none failed. blind: too little could be read to say.
    """

    verdict: str
    concerns: list[Concern]


class Analysis(Fields):
    """The complete result for all inputs."""

    inputs: list[InputFile]
    keys: list[KeyFile]
    connections: list[Connection]
    exchanges: list[Exchange]  # sorted by first byte; ``id`` is the place in this list
    commands: dict[int, Command]  # ActiveSync commands, by exchange id
    findings: list[Finding] = field(default_factory=list)
    anomalies: list[LocatedAnomaly] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    overview: Overview | None = None  # None: not judged
    packets_ignored: dict[str, int] = field(default_factory=dict)  # packets by reason (not TCP, fragments, ...)
