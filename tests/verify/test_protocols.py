"""tshark is told which protocols the ports speak, where that is certain."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

from easpcap.facts import TlsBegin
from easpcap.verify import protocols
from easpcap.verify.protocols import protocol_arguments


def spoken(port, *, tls=False, http=False, clear_text_first=False):
    facts = [SimpleNamespace(what=TlsBegin("SMTP STARTTLS"))] if clear_text_first else []
    exchanges, session = [object()] * http, object() if tls else None
    return SimpleNamespace(server=SimpleNamespace(port=port), tls=session, exchanges=exchanges, facts=facts)


def decoded(*connections):
    arguments = protocol_arguments(connections)
    return [rule for option, rule in pairwise(arguments) if option == "-d"]


def test_tls_and_http_on_ports_of_their_own():
    assert decoded(spoken(4433, tls=True, http=True), spoken(4433, tls=True)) == [
        "tcp.port==4433,tls",
        "tls.port==4433,http",
    ]
    assert decoded(spoken(8888, http=True)) == ["tcp.port==8888,http"]


def test_other_protocols_are_left_to_tshark():
    assert protocol_arguments([spoken(22)]) == []
    assert protocol_arguments([spoken(25, tls=True, clear_text_first=True)]) == []


def test_where_a_port_speaks_both_the_first_bytes_decide():
    arguments = protocol_arguments([spoken(443, tls=True), spoken(443, http=True), spoken(80, http=True)])
    assert "tcp.try_heuristic_first:TRUE" in arguments
    assert arguments[-2:] == ["-d", "tcp.port==80,http"]


def test_the_command_line_is_bounded(monkeypatch):
    monkeypatch.setattr(protocols, "MAX_DECODED_PORTS", 10)
    assert len(decoded(*(spoken(port, http=True) for port in range(1, 100)))) == 10
