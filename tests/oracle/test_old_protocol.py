"""A second opinion on what no library supports any more: tshark decrypts the same records with the same key log."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.support.tls_script import TlsScript
from tests.support.wire_of import pcap_of

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: make oracle"),
]


@pytest.mark.parametrize("version", [0x0300, 0x0301])
@pytest.mark.parametrize("value", [0x0003, 0x0006, 0x0008, 0x0060, 0x0007, 0x0009])
def test_tshark_decrypts_what_our_key_schedule_encrypted(version, value, tmp_path):
    script = TlsScript(version, value).full()
    for direction, data in ((TO_SERVER, b"to the server"), (TO_SERVER, b"again"), (TO_CLIENT, b"to the client")):
        script.data(direction, data)
    capture, log = tmp_path / "old.pcap", tmp_path / "keys.log"
    capture.write_bytes(pcap_of(script.flights))
    log.write_text(script.key_log)
    command = ["tshark", "-r", str(capture), "-o", f"tls.keylog_file:{log}", "-q", "-z", "follow,tls,raw,0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(data.hex() in said for data in (b"to the server", b"again", b"to the client"))
