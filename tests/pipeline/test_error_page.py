"""From packets to a finding: the text of an error page proves a late certificate, however the page is framed."""

from __future__ import annotations

import gzip

import pytest

from easpcap.pipeline import analyze
from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.support.tls13_script import Tls13Script
from tests.support.wire_of import pcap_of

RULE = "late-certificate-tls13"
PAGE = b"<p>You don't have permission.Reason: Cannot perform Post-Handshake Authentication.<br />\n</p>"
REQUEST = b"POST /Microsoft-Server-ActiveSync?Cmd=SendMail HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
PLAIN, GZIP = b"", b"Content-Encoding: gzip\r\n"


def by_length(body):
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def in_chunks(body):
    chunks = [body[at : at + 40] for at in range(0, len(body), 40)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"


@pytest.mark.parametrize("frame", [by_length, in_chunks])
@pytest.mark.parametrize("coding", [PLAIN, GZIP])
def test_a_403_whose_page_names_the_cause_proves_a_late_certificate(frame, coding, tmp_path):
    script = Tls13Script().handshake()
    script.data(TO_SERVER, REQUEST)
    body = gzip.compress(PAGE) if coding else PAGE
    script.data(TO_CLIENT, b"HTTP/1.1 403 Forbidden\r\n" + coding + frame(body))
    capture, key_log = tmp_path / "refused.pcap", tmp_path / "keys.log"
    capture.write_bytes(pcap_of(script.close().flights))
    key_log.write_text(script.key_log())
    analysis = analyze([str(capture)], key_logs=[str(key_log)])
    (finding,) = [finding for finding in analysis.findings if finding.rule == RULE]
    assert (finding.severity, finding.confidence) == ("critical", "proven")
