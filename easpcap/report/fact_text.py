"""What a fact is in words: the only place that puts facts into sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap import facts

if TYPE_CHECKING:
    from easpcap.facts import Occurrence

_SSL2: Final = 0x0002


def fact_text(what: Occurrence) -> str:
    """The sentence for the "detail" of a timeline; empty where the name of the event says all."""
    match what:
        case facts.TcpOpen() | facts.ZeroWindow() | facts.Fin() | facts.Rst():
            return ""
        case facts.MissingBytes(length=length):
            return f"{length:,} bytes are missing in the capture"
        case facts.CaptureEnd():
            return "the capture ends while this connection is open"
        case facts.TlsBegin(after=after):
            return f"TLS begins after {after or 'clear text'}"
        case _:
            return _tls_text(what)


def _tls_text(what: facts.TlsOccurrence) -> str:
    match what:
        case facts.ClientHello(server_name=name):
            return f"ClientHello for {name}" if name else "ClientHello"
        case facts.ServerHello():
            return _server_hello(what)
        case facts.ServerCertificate():
            return "Certificate of the server"
        case facts.CertificateRequest(post_handshake=post_handshake):
            return "CertificateRequest after the handshake" if post_handshake else "CertificateRequest"
        case facts.ClientCertificate(count=count):
            return "Certificate of the client" if count else "the client has no certificate to present"
        case facts.ClientKeyExchange():
            return "ClientKeyExchange"
        case facts.ChangeCipherSpec():
            return "ChangeCipherSpec"
        case facts.HandshakeDone():
            return _handshake_done(what)
        case facts.HelloRequest():
            return "HelloRequest"
        case facts.Alert(description=description, fatal=fatal):
            name = facts.ALERT_NAMES.get(description, str(description))
            return f"{'fatal' if fatal else 'warning'} alert {name}"
        case facts.CloseNotify():
            return "close_notify"


def _server_hello(hello: facts.ServerHello) -> str:
    if hello.version == _SSL2:
        return "SSL 2.0 ServerHello"
    name = "HelloRetryRequest" if hello.retry else "ServerHello"
    return f"{name}, {hello.suite}" if hello.suite else name


def _handshake_done(done: facts.HandshakeDone) -> str:
    if done.post_handshake:
        return "post-handshake authentication done"
    return f"{'abbreviated' if done.abbreviated else 'full'} handshake done"
