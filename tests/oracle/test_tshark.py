"""A second opinion: what tshark makes of the fixtures, read through pyshark, is what easpcap makes of them."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest

from easpcap.pipeline import analyze

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEY = FIXTURES / "keys" / "server.pem"

#: Captures in which tshark sees less than there is: it drops the bytes after the end of a request.
BEYOND_TSHARK = {"ecdhe-opaque"}
CAPTURES = [path for path in sorted(FIXTURES.glob("captures/*.pcap")) if path.stem not in BEYOND_TSHARK]

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle"),
]


def tshark_says(path):
    """(requests, statuses, HelloRequests) with their streams and frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyshark's event loop is older than our Python
        import pyshark

        capture = pyshark.FileCapture(
            str(path),
            display_filter="http.request || http.response || tls.handshake.type == 0",
            override_prefs={"http.desegment_body": "FALSE", "tcp.reassemble_out_of_order": "TRUE"},
            custom_parameters=["-o", f'uat:rsa_keys:"{KEY}",""', "-n"],
        )
        requests, statuses, hello_requests = Counter(), Counter(), Counter()
        try:
            for packet in capture:
                stream, frame = int(packet.tcp.stream), int(packet.number)
                for layer in packet.layers:
                    if layer.layer_name == "http" and hasattr(layer, "request_method"):
                        requests[stream, str(layer.request_method), str(layer.request_uri)] += 1
                    elif layer.layer_name == "http" and hasattr(layer, "response_code"):
                        statuses[stream, int(layer.response_code)] += 1
                    elif layer.layer_name == "tls" and "0" in all_values(layer, "handshake_type"):
                        hello_requests[stream, frame] += 1
        finally:
            capture.close()
    return requests, statuses, hello_requests


def all_values(layer, name):
    field = getattr(layer, name, None)
    return [] if field is None else [f.show for f in field.all_fields]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_requests_statuses_and_hello_requests_are_those_of_tshark(path):
    requests, statuses, hello_requests = tshark_says(path)
    analysis = analyze([str(path)], keys=[str(KEY)])
    seen = [(e.connection, e) for e in analysis.exchanges]
    ours = Counter((stream, e.request.method, e.request.target) for stream, e in seen if e.request)
    assert ours == requests
    answered = Counter((stream, e.response.status) for stream, e in seen if e.response)
    answered += Counter((stream, interim.status) for stream, e in seen for interim in e.interim)
    assert answered == statuses
    facts = [(c.id, fact) for c in analysis.connections for fact in c.facts]
    asked = Counter((stream, fact.position.frame) for stream, fact in facts if fact.kind == "hello-request")
    assert asked == hello_requests
