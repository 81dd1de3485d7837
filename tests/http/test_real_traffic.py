"""Clear text of published captures, read through the TCP layer: the same messages as another program found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PUBLIC = Path(__file__).parents[3] / "shared" / "captures" / "public"
MOST_BYTES = 300_000

pytestmark = pytest.mark.skipif(not PUBLIC.exists(), reason="needs the published captures in ../shared/captures/public")


def _cases():
    """Captures with clear HTTP/1.x whose other reading is to be trusted."""
    for path in sorted((PUBLIC / "expected").glob("*.json")):
        expected = json.loads(path.read_text())
        capture = PUBLIC / "files" / expected["name"]
        streams = [s for s in expected["streams"] if _is_clear_http(s)]
        if streams and "pcap" in expected["format"] and capture.exists() and capture.stat().st_size < MOST_BYTES:
            yield pytest.param(capture, streams, id=expected["name"])


def _is_clear_http(stream):
    http = stream.get("http")
    gaps = stream["tcp_c2s"]["gaps"] or stream["tcp_s2c"]["gaps"]
    return not stream["tls"] and http and http["requests"] and not http["unparsed"] and not gaps


def _locate(tcp):
    def locate(direction, offset, last=False):
        return tcp.locate(direction, offset)._replace(stamp=int(last))

    return locate


def _read(path):
    """The exchanges of each connection."""
    from easpcap.capture import open_capture
    from easpcap.http.conversation import HttpConversation
    from easpcap.stream import Data, End, Gap
    from easpcap.tcp.assembler import Assembler

    conversations, assembler, exchanges = {}, Assembler(), {}

    def read(events):
        for tcp, event in events:
            if tcp.id not in conversations:
                conversations[tcp.id] = HttpConversation(tcp.id, _locate(tcp))
                exchanges[tcp.id] = []
            if isinstance(event, Data | Gap | End):
                exchanges[tcp.id] += conversations[tcp.id].feed(event)
            elif event.kind in {"fin", "rst"}:
                conversations[tcp.id].sender_closed(event.direction, event.kind, event.position)

    for batch in open_capture(str(path)):
        read(assembler.feed(batch))
    read(assembler.finish())
    for connection, conversation in conversations.items():
        exchanges[connection] += conversation.finish()
    for tcp in assembler.connections:
        exchanges.setdefault(tcp.id, [])
    by_first_packet = sorted(assembler.connections, key=lambda tcp: tcp.first.frame)
    return [exchanges[tcp.id] for tcp in by_first_packet]


@pytest.mark.parametrize(("path", "streams"), list(_cases()) if PUBLIC.exists() else [])
def test_clear_text_is_read_as_by_another_program(path, streams):
    exchanges = _read(path)
    for stream in streams:
        found = sorted(exchanges[stream["stream"]], key=lambda exchange: exchange.index)
        requests = [e.request for e in found if e.request is not None]
        other = stream["http"]["requests"]
        assert [(r.method, r.version) for r in requests[: len(other)]] == [
            (r["method"], r["version"].rpartition(" ")[2]) for r in other
        ]
        assert [r.body_bytes for r in requests[: len(other)]] == [r["body_length"] for r in other]
        answers = [[*(i.status for i in e.interim), *([e.response.status] if e.response else [])] for e in found]
        lines, parsed = stream["http"]["status_lines"], [r["status"] for r in stream["http"]["responses"]]
        assert [status for statuses in answers for status in statuses] == max(lines, parsed, key=len)
        sizes = {r["body_length"] for r in stream["http"]["responses"]}
        assert sizes <= {e.response.body_bytes for e in found if e.response} | {0}
