"""The report of ``keys`` on captures of fixtures/: golden files; read them as a customer would."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from easpcap.advice.preflight import preflight
from easpcap.key_problems import FolderContents, KeyProblem
from easpcap.pipeline import analyze
from easpcap.report.text.keys import render_keys_text
from easpcap.report.text.layout import Layout
from easpcap.results import Analysis, Decryption, FirstUndecrypted, KeyFile
from easpcap.stream import Endpoint
from tests.advice.test_certificates import made
from tests.advice.test_preflight import analysed, connected
from tests.report import builders

FIXTURES = Path(__file__).parents[2] / "fixtures"

CASES = {
    "right-key": (["apache-413.pcap"], ["server.pem"], []),
    "wrong-key": (["apache-413.pcap"], ["client.pem"], []),
    "no-key": (["apache-413.pcap"], [], []),
    "certificate-for-key": (["apache-413.pcap"], ["server.crt"], []),
    "forward-secrecy": (["ecdhe-opaque.pcap"], ["server.pem"], []),
    "key-log": (["ecdhe-opaque.pcap"], ["server.pem"], ["ecdhe-opaque.keys"]),
    "other-key-log": (["apache-413.pcap"], [], ["ecdhe-opaque.keys"]),
    "resumed": (["resumed.pcap"], ["server.pem"], []),
    "mixed": (["resumption-ticket.pcap", "ecdhe-opaque.pcap", "plain-http.pcap"], ["server.pem", "client.pem"], []),
    "plain": (["plain-http.pcap"], [], []),
}


def without_first_connection(capture: bytes) -> bytes:
    """A pcap of Ethernet and IPv4 without the packets of the client port that comes first."""
    kept, place, first = [capture[:24]], 24, None
    while place < len(capture):
        size = struct.unpack_from("<I", capture, place + 8)[0]
        packet = capture[place + 16 : place + 16 + size]
        header = 14 + 4 * (packet[14] & 0x0F)
        client = next(port for port in struct.unpack_from("!HH", packet, header) if port != 443)
        first = first or client
        if client != first:
            kept.append(capture[place : place + 16 + size])
        place += 16 + size
    return b"".join(kept)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with the captures and keys, so that no path of this machine is in the report."""
    for source in (*FIXTURES.glob("captures/*"), *FIXTURES.glob("keys/*")):
        shutil.copy(source, tmp_path)
    resumed = without_first_connection((FIXTURES / "captures" / "resumption-ticket.pcap").read_bytes())
    (tmp_path / "resumed.pcap").write_bytes(resumed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text(analysis: Analysis, width: int = 100, *, colour: bool = False, arguments: str = "TRACE") -> str:
    return "".join(render_keys_text(analysis, preflight(analysis), Layout(width, colour), arguments=arguments))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("place")
def test_the_report_matches_its_golden_file(golden, case):
    captures, keys, logs = CASES[case]
    words = [*captures, *(f"--key {key}" for key in keys), *(f"--key-log {log}" for log in logs)]
    golden(f"keys.{case}.txt", text(analyze(captures, keys=keys, key_logs=logs), arguments=" ".join(words)))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.usefixtures("place")
def test_lines_keep_within_the_screen(width):
    report = text(analyze(CASES["mixed"][0], keys=CASES["mixed"][1]), width)
    long = [line for line in report.splitlines() if len(line) > width]
    assert all("SHA-256" in line or line.startswith(" " * 14) for line in long)  # hashes and commands are copied whole


def test_colour_changes_no_word():
    analysis = builders.incident()
    plain = text(analysis, colour=True)
    for code in ("1", "2", "0", "1;31", "1;33", "1;36", "1;32"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == text(analysis)


def test_nothing_from_the_wire_or_a_file_name_reaches_the_terminal_raw():
    connection = connected(0, tls={"server_name": builders.HOSTILE, "cipher_suite": "TLS_RSA_WITH_RC4_128_MD5"})
    key = KeyFile(builders.HOSTILE, "unusable", problem=KeyProblem("unreadable", system_error=builders.HOSTILE))
    report = text(analysed(connection, keys=[key]))
    assert all(character.isprintable() or character == "\n" for character in report)
    assert "\\x1b[31mred\\u202e" in report


def test_several_certificates_of_one_server_are_each_shown_with_their_names():
    one, two = (made(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    report = text(
        analysed(
            connected(0, tls={"server_certificate": one}),
            connected(1, tls={"server_certificate": two, "server_name": "autodiscover.contoso.com"}),
        )
    )
    assert report.count("  Certificate  CN=mail.example\n") == 2
    assert "Shown on     1 connection for mail.contoso.com\n" in report
    assert "Shown on     1 connection for autodiscover.contoso.com\n" in report
    assert report.count("a private key of this type cannot decrypt anything; only a key log can") == 2


def test_of_many_servers_only_the_first_are_shown():
    many = [connected(number, server=Endpoint(f"192.0.2.{number}", 443)) for number in range(30)]
    report = text(analysed(*many))
    assert "... and 10 more servers: --format csv has them all" in report


def test_each_reason_has_one_step_however_many_servers_have_it():
    closed = [
        connected(n, status="opaque", reason="forward-secrecy", server=Endpoint(f"192.0.2.{n}", 443)) for n in range(3)
    ]
    report = text(analysed(*closed))
    assert report.count("SSLCipherSuite kRSA") == 1
    assert "Next        forward-secrecy (3 connections)" in report


def test_a_server_that_showed_no_certificate_may_still_have_the_one_that_the_key_fits():
    seen = connected(0, tls={"server_certificate": made(ec.generate_private_key(ec.SECP256R1()))})
    hidden = connected(1, tls={"server_certificate": None}, server=Endpoint("192.0.2.9", 443))
    report = text(analysed(seen, hidden, keys=[builders.key_file()]))
    assert "matches no server in this capture whose certificate was seen (1 showed none)" in " ".join(report.split())


def test_a_certificate_given_for_a_key_says_whose_it_is():
    connection = connected(0)
    given = KeyFile(
        "server.crt", "unusable", "ab" * 32, matches=[0], problem=KeyProblem("other-contents", "certificate")
    )
    report = " ".join(text(analysed(connection, keys=[given])).split())
    assert "it is the certificate of 198.51.100.1:443" in report


def test_a_connection_decrypted_in_part_says_where_decryption_stopped():
    stop = FirstUndecrypted(direction=0, offset=4711, frame=12)
    partly = connected(0, decryption=Decryption("partial", "gap", first_undecrypted=stop))
    report = " ".join(text(analysed(partly)).split())
    assert "connection 0 only in part (gap): Packets are missing from the capture." in report
    assert "The first record not decrypted begins in frame 12, 4,711 bytes into the stream to the server." in report


def test_a_second_file_with_the_same_key_says_so():
    twin = builders.key_file(path="copy.pem")
    report = text(analysed(connected(0), keys=[builders.key_file(), twin]))
    assert "copy.pem (private key, RSA 2048): the same key as server.pem\n" in report


def test_a_folder_of_keys_is_one_line_and_its_files_follow():
    folder = KeyFile("keys", "folder", folder=FolderContents(files=3, usable=1, locked=0))
    report = text(analysed(connected(0), keys=[folder, builders.key_file()]))
    assert "Keys        keys: 1 of 3 files usable\n            server.pem (private key, RSA 2048): matches" in report


def test_where_servers_have_different_certificates_the_step_names_no_thumbprint():
    certificates = [made(ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]
    closed = [
        connected(
            number,
            status="opaque",
            reason="no-key",
            tls={"server_certificate": certificate},
            server=Endpoint(f"192.0.2.{number}", 443),
        )
        for number, certificate in enumerate(certificates)
    ]
    assert "certutil -exportPFX My THUMBPRINT server.pfx" in text(analysed(*closed))
    assert "THUMBPRINT" not in text(analysed(closed[0]))


def test_an_expired_certificate_says_so_beside_its_validity():
    connection = connected(0, tls={"server_certificate": made(ec.generate_private_key(ec.SECP256R1()))})
    connection.first = builders.at(1, 100 * 86_400.0)
    report = text(analysed(connection), 120)
    assert "valid 2010-01-01 00:00:00 to 2011-01-01 00:00:00 UTC: EXPIRED when this was captured\n" in report
    assert report.count("EXPIRED") == 1
    assert "self-signed\n" in report


@pytest.mark.parametrize(("count", "left"), [(6, ""), (7, "... (1 more)"), (8, "... (2 more)")])
def test_more_than_six_names_of_a_certificate_are_counted(count, left):
    names = [x509.DNSName(f"host{number}.example") for number in range(count)]
    key = ec.generate_private_key(ec.SECP256R1())
    connection = connected(0, tls={"server_certificate": made(key, alternatives=names)})
    shown = " ".join(text(analysed(connection), 200).split())
    assert "for host0.example, host1.example" in shown
    assert ("more)" in shown) == bool(left)
    assert left in shown
