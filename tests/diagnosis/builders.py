"""Small builders: a connection, one frame after the other, and the Analysis around it."""

from __future__ import annotations

from types import SimpleNamespace

from easpcap import facts
from easpcap.http.exchange import Exchange, Interim, Request, Response
from easpcap.results import (
    Analysis,
    Connection,
    Decryption,
    Fact,
    InputFile,
    RecordRun,
    Renegotiation,
    TlsSummary,
)
from easpcap.stream import TO_CLIENT, TO_SERVER, Endpoint, Position

SERVER = Endpoint("10.20.0.20", 443)
START = 1_289_861_221_000_000_000


CLOSINGS = {what.kind: what for what in (facts.Fin(), facts.Rst(), facts.CloseNotify())}


def client_hello(*, renegotiation=False, offers=False):
    return facts.ClientHello("mail.contoso.com", 0x0303, renegotiation, offers)


def handshake_done(*, renegotiation):
    return facts.HandshakeDone(int(renegotiation), abbreviated=False, renegotiation=renegotiation, verified=True)


def alert(name, *, fatal=True):
    """The alert of this name in the RFC."""
    (description,) = (number for number, known in facts.ALERT_NAMES.items() if known == name)
    return facts.Alert(facts.FATAL if fatal else facts.WARNING, description)


class Story:
    """One connection. Every call is one frame; ``at`` sets the clock, in milliseconds since the beginning."""

    def __init__(self, number=0, *, version="TLS 1.2", suite="TLS_RSA_WITH_AES_128_CBC_SHA", name="mail.contoso.com"):
        self.number = number
        self.clock = 0
        self.frame = 1000 * number
        self.facts, self.exchanges, self.record_runs = [], [], []
        self.last_data = [None, None]
        self.sent = [0, 0]
        self.first = self.here()
        self.tls = TlsSummary(version, suite, name, 1, None, None, None)
        self.decryption = Decryption("decrypted")
        self.gaps = (0, 0)
        self.closed_by = "open"
        self.client = Endpoint("10.20.0.51", 50000 + number)
        self.server = SERVER
        self.commands = {}

    def here(self, acked=None):
        self.frame += 1
        return Position(self.frame, self.frame, START + self.clock * 1_000_000, acked)

    def at(self, milliseconds):
        self.clock = milliseconds
        return self

    # -------------------------------------------------------------- HTTP

    def request(self, size=300_000, *, command="SendMail", device="ApplX", headers=(), framing="length", target=None):
        """A request head; its body comes with body()."""
        position = self.here()
        self.exchange = Exchange(self.number, len(self.exchanges))
        self.exchange.request = Request(
            version="HTTP/1.1",
            headers=list(headers),
            head_offset=0,
            body_offset=200,
            first=position,
            last=position,
            framing=framing,
            content_length=size if framing == "length" else None,
            method="POST",
            target=target or f"/Microsoft-Server-ActiveSync?Cmd={command}&DeviceId={device}",
        )
        self.exchanges.append(self.exchange)
        if command is not None:
            self.commands[self.exchange.key] = SimpleNamespace(command=command, device_id=device)
        return self

    def body(self, size):
        """So many more bytes of the body."""
        request = self.exchange.request
        request.body_bytes += size
        request.last = self.here()
        if request.body_bytes == request.content_length:
            request.end_offset = request.body_offset + request.body_bytes
        return self

    def response(self, status=200, reason="", headers=(), *, too_late=False):
        position = self.here()
        self.exchange.response = Response(
            version="HTTP/1.1",
            headers=list(headers),
            head_offset=0,
            body_offset=100,
            first=position,
            last=position,
            framing="none",
            content_length=None,
            end_offset=100,
            status=status,
            reason=reason,
        )
        self.exchange.outcome, self.exchange.too_late = "completed", too_late
        return self

    def interim(self, status=100):
        self.exchange.interim.append(Interim(status, self.here()))
        return self

    # -------------------------------------------------------------- TLS

    def fact(self, what, direction):
        self.facts.append(Fact(what, direction, self.here()))
        return self.facts[-1]

    def hello_request(self, had=0, sent=None, *, by="server", mid_body=None, **fields):
        """The server asks; it had so many body bytes. ``mid_body`` follows from the announced size unless given."""
        exchange = fields.pop("exchange", self.exchanges[-1] if self.exchanges else None)
        request = exchange.request if exchange else None
        if mid_body is None:
            mid_body = request is not None and (request.content_length is None or had < request.content_length)
        fact = self.fact(facts.HelloRequest(), TO_CLIENT)
        self.asked = Renegotiation(
            by, fact.position, exchange, sent if sent is not None else had, had, mid_body=mid_body
        )
        for field, value in fields.items():
            setattr(self.asked, field, value)
        self.tls.renegotiations.append(self.asked)
        return self

    def client_hello(self):
        self.asked.client_hello = self.fact(client_hello(renegotiation=True), TO_SERVER).position
        return self

    def renegotiated(self, *, certificate=True):
        """The rest of the handshake, with a certificate asked for."""
        self.certificate_asked().certificate(certificate)
        self.asked.done = self.fact(handshake_done(renegotiation=True), TO_CLIENT).position
        self.asked.outcome = "full"
        return self

    def certificate_asked(self):
        self.fact(facts.CertificateRequest("later"), TO_CLIENT)
        self.asked.certificate_requested = True
        return self

    def certificate(self, presented):
        self.fact(facts.ClientCertificate(int(presented)), TO_SERVER)
        self.asked.certificate_presented = presented
        return self

    def first_handshake_asks(self, *, presented, done=True):
        """A CertificateRequest in the first handshake, and what came."""
        self.tls.certificate_requested, self.tls.certificate_presented = "first-handshake", presented
        self.fact(facts.CertificateRequest("first-handshake"), TO_CLIENT)
        if presented is not None:
            self.fact(facts.ClientCertificate(int(presented)), TO_SERVER)
        if done:
            self.fact(handshake_done(renegotiation=False), TO_CLIENT)
        return self

    def alert(self, direction, name, *, fatal=True, outcome=None):
        """An alert; ``outcome`` is what the pipeline makes of it for the renegotiation."""
        fact = self.fact(alert(name, fatal=fatal), direction)
        if outcome is not None:
            self.asked.outcome, self.asked.alert = outcome, fact.position
            self.asked.alert_name = name
        return self

    # -------------------------------------------------------------- TCP

    def zero_window(self):
        self.fact(facts.ZeroWindow(), TO_CLIENT)
        return self

    def gap(self, direction, size=100):
        self.fact(facts.MissingBytes(size), direction)
        self.gaps = tuple(size if side == direction else self.gaps[side] for side in (0, 1))
        return self

    def close(self, how):
        """server-rst, client-fin ...: ends the connection and what is unanswered on it."""
        side, kind = how.split("-", 1)
        fact = self.fact(CLOSINGS[kind], TO_SERVER if side == "client" else TO_CLIENT)
        self.closed_by = how
        for exchange in self.exchanges:
            if exchange.response is None:
                exchange.outcome, exchange.ended, exchange.ended_by = f"abandoned-by-{side}", fact.position, how
        return self

    # -------------------------------------------------------------- opaque connections

    def records(self, direction, content_type, *sizes, acked=None):
        """Records of one type as seen from outside; a record costs five bytes more than its fragment."""
        other = self.sent[1 - direction] if acked is None else acked
        position = self.here(other)
        self.sent[direction] += sum(sizes) + 5 * len(sizes)
        end = self.sent[direction]
        run = RecordRun(content_type, direction, position, position, end, len(sizes), sum(sizes), sizes[-1])
        self.record_runs.append(run)
        self.decryption = Decryption("opaque", "forward-secrecy")
        return self

    def unfinished(self, size):
        """Bytes of a client's record that never became whole."""
        self.sent[TO_SERVER] += size
        self.last_data[TO_SERVER] = self.here()
        return self

    def connection(self):
        return Connection(
            id=self.number,
            client=self.client,
            server=self.server,
            roles_known_by="syn",
            first=self.first,
            last=self.here(),
            packets=self.frame,
            payload_bytes=tuple(self.sent),
            last_data=self.last_data,
            gaps=self.gaps,
            closed_by=self.closed_by,
            tls=self.tls,
            decryption=self.decryption,
            exchanges=self.exchanges,
            facts=self.facts,
            record_runs=self.record_runs,
        )


def analysis(*stories, inputs=None):
    """The Analysis of some connections; the capture ends with the last of their packets."""
    connections = [story.connection() for story in stories]
    exchanges = [exchange for story in stories for exchange in story.exchanges]
    commands = {}
    for number, exchange in enumerate(exchanges):
        exchange.id = number
        for story in stories:
            if exchange.key in story.commands:
                commands[number] = story.commands[exchange.key]
    if inputs is None:
        last = max(connection.last.time_ns for connection in connections)
        inputs = [InputFile("trace.pcap", "", "pcap", ["Ethernet"], 9999, START, last, False)]
    return Analysis(inputs=inputs, keys=[], connections=connections, exchanges=exchanges, commands=commands)
