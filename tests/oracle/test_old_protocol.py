"""A second opinion on what no library supports any more: tshark decrypts the same records with the same secrets."""

from __future__ import annotations

import shutil

import pytest

from easpcap.stream import TO_CLIENT, TO_SERVER
from tests.support.tls_script import TlsScript
from tests.support.wire_of import pcap_of
from tests.verify.asking import differences, results, verified_script

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
    verification = verified_script(pcap_of(script.flights), script.key_log, tmp_path)
    assert differences(verification) == {}
    assert [each.other.data[0].bytes for each in verification.comparisons][-1] == len(b"to the serveragain")
    assert (0, "data-to-client") in results(verification)
