"""Analyses built by hand: one rich in everything a report must show, and small ones for single points."""

from __future__ import annotations

from easpcap import facts
from easpcap.activesync.command import Command
from easpcap.advice.remedies import ask_in_first_handshake, watch_abandoned
from easpcap.advice.site import Site
from easpcap.diagnosis import overview
from easpcap.http.exchange import Exchange, Interim, Request, Response
from easpcap.key_problems import KeyProblem
from easpcap.results import (
    Analysis,
    Cause,
    Connection,
    Decryption,
    Evidence,
    Fact,
    Finding,
    InputFile,
    KeyFile,
    LocatedAnomaly,
    Renegotiation,
    TlsSummary,
)
from easpcap.stream import TO_CLIENT, TO_SERVER, Endpoint, Position

START = 1_289_861_221_112_000_000  # 2010-11-15 22:47:01.112 UTC
SECOND = 1_000_000_000

#: Escape, right-to-left override, zero width space, line break: what a hostile client might send.
HOSTILE = "\x1b[31mred\u202egnp.exe\u200b\r\n=cmd|' /C calc'!A0"


SERVER_HELLO = facts.ServerHello(0x0301, "TLS_RSA_WITH_AES_128_CBC_SHA", retry=False)
HANDSHAKE_DONE = facts.HandshakeDone(0, abbreviated=False, renegotiation=False, verified=True)


def client_hello(server_name: str | None = None) -> facts.ClientHello:
    return facts.ClientHello(server_name, 0x0301, renegotiation=False, offers_post_handshake_auth=False)


def at(frame: int, seconds: float, stamp: int | None = None, acked: int | None = None) -> Position:
    return Position(frame if stamp is None else stamp, frame, START + round(seconds * SECOND), acked)


def request(first: Position, last: Position, *, announced: int | None = 0, seen: int | None = None, **more) -> Request:
    size = announced if seen is None else seen
    values = {
        "method": "POST",
        "target": "/Microsoft-Server-ActiveSync?Cmd=Sync",
        "headers": [("host", "mail.contoso.com")],
    }
    values |= {"framing": "length" if announced is not None else "chunked", **more}
    complete = seen is None or seen == announced
    return Request(
        version="HTTP/1.1",
        head_offset=0,
        body_offset=200,
        first=first,
        last=last,
        content_length=announced,
        body_bytes=size or 0,
        end_offset=200 + (size or 0) if complete else None,
        **values,
    )


def response(first: Position, last: Position, status: int = 200, reason: str = "OK", size: int = 0) -> Response:
    return Response(
        version="HTTP/1.1",
        headers=[("server", "Microsoft-IIS/7.5")],
        head_offset=0,
        body_offset=100,
        first=first,
        last=last,
        framing="length",
        content_length=size,
        body_bytes=size,
        end_offset=100 + size,
        status=status,
        reason=reason,
    )


def command(name: str, **more) -> Command:
    values = {"user": "CONTOSO\\kim", "device_id": "APPL1234", "device_type": "iPhone", "protocol_version": "12.1"}
    values |= {"status": None, "policy_key": None, "device_name": "iPhone 4, iOS 4.1"}
    return Command(command=name, **(values | more))


def tls(**more) -> TlsSummary:
    values = {
        "version": "TLS 1.0",
        "cipher_suite": "TLS_RSA_WITH_AES_128_CBC_SHA",
        "server_name": "mail.contoso.com",
        "handshakes": 1,
        "resumed": None,
        "certificate_requested": None,
        "certificate_presented": None,
        "server_certificate": b"certificate",
    }
    return TlsSummary(**(values | more))


def connection(number: int, first: Position, last: Position, **more) -> Connection:
    values = {
        "id": number,
        "client": Endpoint("192.0.2.7", 49152 + number),
        "server": Endpoint("198.51.100.1", 443),
        "roles_known_by": "syn",
        "first": first,
        "last": last,
        "packets": last.frame - first.frame + 1,
        "payload_bytes": (1000, 2000),
        "gaps": (0, 0),
        "closed_by": "client-fin",
        "tls": tls(),
        "decryption": Decryption("decrypted"),
        "last_data": [last, last],
    }
    return Connection(**(values | more))


def input_file(
    path: str = "trace.pcap", packets: int = 412, first: int = 1, seconds: float = 99.0, **more
) -> InputFile:
    values = {
        "path": path,
        "sha256": "5f0c4e" + "0" * 54 + "91ab",
        "format": "pcap",
        "link_types": ["Ethernet"],
        "packets": packets,
        "first_time": START,
        "last_time": START + round(seconds * SECOND),
        "truncated": False,
        "first_frame": first,
    }
    return InputFile(**(values | more))


def key_file(**more) -> KeyFile:
    values = {"path": "server.pem", "kind": "rsa-private-key", "fingerprint": "ab" * 32, "rsa_bits": (2048,)}
    return KeyFile(**(values | more))


def good_exchange(number: int = 0, on: int = 0, frame: int = 10, seconds: float = 0.0) -> Exchange:
    return Exchange(
        connection=on,
        index=0,
        request=request(at(frame, seconds), at(frame, seconds), announced=210),
        response=response(at(frame + 2, seconds + 0.021), at(frame + 2, seconds + 0.021), size=310),
        outcome="completed",
        id=number,
    )


def judged(analysis: Analysis) -> Analysis:
    """The analysis with the verdict that its findings and exchanges give."""
    analysis.overview = overview(analysis, analysis.findings)
    return analysis


def quiet() -> Analysis:
    """One decrypted connection, one Sync, nothing wrong."""
    exchange = good_exchange()
    happened = [
        Fact(facts.TcpOpen(), TO_SERVER, at(1, 0.0)),
        Fact(client_hello(), TO_SERVER, at(4, 0.001)),
        Fact(SERVER_HELLO, TO_CLIENT, at(5, 0.002)),
        Fact(HANDSHAKE_DONE, TO_CLIENT, at(8, 0.004)),
        Fact(facts.Fin(), TO_SERVER, at(20, 0.5)),
    ]
    first = connection(0, at(1, 0.0), at(20, 0.5), exchanges=[exchange], facts=happened)
    return judged(
        Analysis(
            inputs=[input_file(packets=20, seconds=0.5)],
            keys=[key_file(matches=[0])],
            connections=[first],
            exchanges=[exchange],
            commands={0: command("Sync")},
        )
    )


def _deadlock_connection() -> Connection:
    upload = request(at(58, 11.0), at(120, 11.04), announced=1_261_440, seen=114_688)
    upload.target = "/Microsoft-Server-ActiveSync?Cmd=SendMail"
    exchange = Exchange(
        connection=2,
        index=0,
        request=upload,
        outcome="abandoned-by-server",
        ended=at(163, 41.049),
        ended_by="server-fin",
        id=2,
    )
    asked = Renegotiation(
        by="server",
        position=at(113, 11.031),
        exchange=exchange,
        body_offset_sent=114_688,
        body_offset_acknowledged=49_152,
        mid_body=True,
    )
    happened = [
        Fact(facts.TcpOpen(), TO_SERVER, at(50, 10.9)),
        Fact(client_hello(), TO_SERVER, at(52, 10.91)),
        Fact(HANDSHAKE_DONE, TO_CLIENT, at(56, 10.95)),
        Fact(facts.HelloRequest(), TO_CLIENT, at(113, 11.031)),
        Fact(facts.ZeroWindow(), TO_CLIENT, at(121, 11.044)),
        Fact(facts.CloseNotify(), TO_CLIENT, at(163, 41.049)),
        Fact(facts.Fin(), TO_CLIENT, at(163, 41.049)),
    ]
    return connection(
        2,
        at(50, 10.9),
        at(170, 41.1),
        exchanges=[exchange],
        facts=happened,
        payload_bytes=(115_900, 2400),
        closed_by="server-fin",
        tls=tls(renegotiations=[asked]),
        digest=((114_888, "11" * 32), (0, "22" * 32)),
    )


def _findings(exchange: Exchange) -> tuple[list[Finding], list[Cause]]:
    deadlock = Finding(
        rule="renegotiation-deadlock",
        severity="critical",
        confidence="proven",
        connections=[2],
        exchanges=[exchange],
        title="The server asks for a client certificate while the upload is still running, and both sides wait",
        detail="The certificate is negotiated by renegotiation: the client must send its whole body first, the "
        "server will not read it first.",
        evidence=[
            Evidence(at(58, 11.0), "POST SendMail begins, 1,261,440 bytes announced"),
            Evidence(
                at(113, 11.031),
                "the server sends HelloRequest after 49,152 of 1,261,440 body bytes; the client had sent 114,688 (9 %)",
            ),
            Evidence(at(121, 11.044), "the server's receive window is zero; no ClientHello follows"),
            Evidence(at(163, 41.049), "the server closes the connection without a response"),
        ],
        against=[],
        remedies=ask_in_first_handshake(Site("mail.contoso.com", 443, "Microsoft-IIS/7.5")),
        wireshark_filter="tcp.stream eq 2 && frame.number >= 58 && frame.number <= 163",
        related=[1],
        id=0,
    )
    abandoned = Finding(
        rule="command-abandoned",
        severity="warning",
        confidence="proven",
        connections=[2],
        exchanges=[exchange],
        title="SendMail was given up by the server after 30 s without a response",
        detail="The server closed the connection while the command was under way.",
        evidence=[Evidence(at(163, 41.049), "FIN of the server")],
        against=["=the client may have been cut off by a firewall"],
        remedies=watch_abandoned(),
        wireshark_filter="tcp.stream eq 2",
        related=[0],
        id=1,
    )
    end = START + 42 * SECOND
    causes = [
        Cause("renegotiation-deadlock", "critical", [0], 1, 1, START + 11 * SECOND, end),
        Cause("command-abandoned", "warning", [1], 1, 1, START + 11 * SECOND, end),
    ]
    return [deadlock, abandoned], causes


def incident() -> Analysis:
    """The deadlock, a good Sync, an opaque connection, plain HTTP with hostile texts and a gap."""
    sync = good_exchange(0, on=0, frame=10)
    stuck = _deadlock_connection()
    hostile = Exchange(
        connection=3,
        index=0,
        request=request(at(200, 50.0), at(201, 50.1), announced=None, target="/x?" + HOSTILE),
        interim=[Interim(100, at(202, 50.15))],
        response=response(at(203, 50.2), at(204, 50.3), 500, HOSTILE),
        outcome="interrupted",
        id=3,
    )
    lone = Exchange(
        connection=3, index=1, response=response(at(210, 51.0), at(210, 51.0), 404, ""), outcome="completed", id=1
    )
    opaque = connection(
        1,
        at(30, 5.0),
        at(49, 9.0),
        tls=tls(cipher_suite="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", version="TLS 1.2"),
        decryption=Decryption("opaque", "forward-secrecy"),
        closed_by="open",
    )
    opaque.facts.append(Fact(facts.CaptureEnd(), TO_SERVER, at(49, 9.0)))
    plain = connection(
        3,
        at(198, 49.9),
        at(210, 51.0),
        server=Endpoint("2001:db8::1", 8080),
        tls=None,
        decryption=Decryption("plaintext"),
        gaps=(1460, 0),
        roles_known_by="port",
        closed_by="server-rst",
        exchanges=[hostile, lone],
        facts=[Fact(client_hello(HOSTILE), TO_SERVER, at(209, 50.9))],
    )
    sync_connection = connection(0, at(1, 0.0), at(20, 0.5), exchanges=[sync], facts=quiet().connections[0].facts)
    findings, causes = _findings(stuck.exchanges[0])
    return judged(
        Analysis(
            inputs=[input_file()],
            keys=[
                key_file(matches=[0, 2]),
                key_file(path="old.pem", fingerprint="cd" * 32),
                KeyFile("notes.txt", "unusable", problem=KeyProblem("unrecognised")),
            ],
            connections=[sync_connection, opaque, stuck, plain],
            exchanges=[sync, lone, stuck.exchanges[0], hostile],
            commands={0: command("Sync"), 2: command("SendMail"), 3: command(HOSTILE, user=HOSTILE, device_name=None)},
            findings=findings,
            causes=causes,
            anomalies=[
                LocatedAnomaly("gap", 3, 205, START + 50 * SECOND, "1,460 bytes are missing"),
                LocatedAnomaly("http-bad-chunk", None, None, None, HOSTILE),
            ],
            packets_ignored={"not TCP": 57},
        )
    )


def blind() -> Analysis:
    """Nothing could be decrypted: the wrong key was given."""
    verdict = Decryption("opaque", "key-mismatch", thumbprint="8A" * 20)
    connections = [connection(n, at(1 + 30 * n, n), at(20 + 30 * n, n + 0.5), decryption=verdict) for n in range(2)]
    return judged(Analysis([input_file()], [key_file()], connections, [], {}))


def many(exchanges: int = 40) -> Analysis:
    """More exchanges than a screen holds, on one connection."""
    made = [good_exchange(number, frame=10 + 5 * number, seconds=number) for number in range(exchanges)]
    for number, exchange in enumerate(made):
        exchange.index = number
    one = connection(0, at(1, 0.0), at(1000, 99.0), exchanges=made)
    return judged(
        Analysis(
            [input_file(packets=1000)],
            [key_file(matches=[0])],
            [one],
            made,
            {n: command("Sync") for n in range(exchanges)},
        )
    )
