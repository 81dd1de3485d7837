"""The command ``keys``: on real files, in every format, with the exit statuses of all commands."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from tests.cli.commands import ROOT, easpcap
from tests.report import builders

if TYPE_CHECKING:
    from pathlib import Path

CAPTURES, KEYS = ROOT / "fixtures" / "captures", ROOT / "fixtures" / "keys"
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/schema/easpcap.keys.1.json").read_text()))
THUMBPRINT = "2580ED2AD338FD7B8A7DB14FB396A0D8DA6C880A"  # of fixtures/keys/server.crt, by OpenSSL
LAB = ROOT.parent / "shared" / "captures" / "lab"
#: The server's key in the forms in which keys arrive.
FORMS = ("server.key", "server.pem", "server.der", "server.p12", "server_combo.pem", "server_enc_pkcs1.pem")
FORMS += ("server_enc_pkcs8.pem", "server_legacy_rc2.p12", "server_nopass.p12", "server_pkcs1.pem")


def keys(capture: str, *options: str | Path):
    return easpcap("keys", str(CAPTURES / f"{capture}.pcap"), *map(str, options))


def test_the_right_key_is_reported_as_matching():
    done = keys("apache-413", "--key", KEYS / "server.pem")
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"SHA-1    {THUMBPRINT}\n".encode() in done.stdout
    assert b"server.pem matches\n" in done.stdout


def test_a_wrong_key_is_reported_with_status_three():
    done = keys("apache-413", "--key", KEYS / "client.pem")
    assert done.returncode == 3
    assert b"matches no server in this capture" in b" ".join(done.stdout.split())


def test_a_certificate_instead_of_a_key_is_status_two_and_the_report_is_written():
    done = keys("apache-413", "--key", KEYS / "server.crt")
    assert done.returncode == 2
    assert b"a certificate without its private key" in done.stderr
    assert THUMBPRINT.encode() in done.stdout
    assert b"it is the certificate of" in b" ".join(done.stdout.split())


def test_without_keys_the_status_is_zero():
    done = keys("apache-413")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Keys        none given\n" in done.stdout


@pytest.mark.parametrize("capture", ["apache-413", "ecdhe-opaque", "resumption-ticket", "plain-http"])
def test_json_is_valid_by_the_schema(capture):
    done = keys(capture, "--key", KEYS / "server.pem", "--format", "json")
    document = json.loads(done.stdout)
    assert list(SCHEMA.iter_errors(document)) == []
    lines = [
        json.loads(line) for line in keys(capture, "--key", KEYS / "server.pem", "-f", "jsonl").stdout.splitlines()
    ]
    assert [line["type"] for line in lines] == [
        *["input"] * len(document["inputs"]),
        *["key"] * len(document["keys"]),
        *["server"] * len(document["servers"]),
        "summary",
    ]
    assert lines[-1]["schema"] == "easpcap.keys/1"


def test_csv_has_one_row_per_server_and_certificate():
    done = keys("ecdhe-opaque", "--key", KEYS / "server.pem", "--format", "csv", "--bom")
    assert done.stdout.startswith(b"\xef\xbb\xbfserver.address,server.port,")
    (row,) = csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig")))
    assert (row["server.address"], row["certificate.sha1"]) == ("10.20.0.20", THUMBPRINT)
    assert json.loads(row["obstacles"])[0]["reason"] == "forward-secrecy"


def test_no_output_contains_key_material():
    secret = (CAPTURES / "ecdhe-opaque.keys").read_text().split()[-1]
    inside = (KEYS / "server.pem").read_text().splitlines()[1:-1]
    for output in ("table", "json", "jsonl", "csv"):
        done = keys(
            "ecdhe-opaque",
            *("--key", KEYS / "server.pem", "--key-log", CAPTURES / "ecdhe-opaque.keys", "--format", output),
        )
        text = done.stdout.decode()
        assert secret.lower() not in text.lower()
        assert not any(line in text for line in inside)


def test_hostile_names_stay_in_their_cells(pipeline, easpcap_main):
    pipeline.analysis = builders.incident()
    for connection in pipeline.analysis.connections:
        if connection.tls is not None:
            connection.tls.server_name = "=" + builders.HOSTILE
    for output in ("table", "json", "jsonl", "csv"):
        text = easpcap_main("keys", "t.pcap", "--format", output)[1].decode()
        assert "\x1b" not in text
        assert "\u202e" not in text


@pytest.mark.skipif(not LAB.is_dir(), reason="needs the lab captures in ../shared/captures/lab")
@pytest.mark.parametrize("name", FORMS)
def test_the_server_key_of_the_lab_matches_in_every_form(name):
    capture = str(LAB / "02a_413_300k.pcap")
    done = easpcap("keys", capture, "--key", str(LAB / "keys" / name), "-f", "json", EASPCAP_PASSWORD="secret")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert document["keys"][0]["fits"]
    assert document["keys"][0]["opened"] == 1


@pytest.mark.skipif(not LAB.is_dir(), reason="needs the lab captures in ../shared/captures/lab")
@pytest.mark.parametrize("name", ["ca.pem", "client.crt", "server.crt"])
def test_the_certificates_of_the_lab_decrypt_nothing_and_are_reported_as_certificates(name):
    done = easpcap("keys", str(LAB / "02a_413_300k.pcap"), "--key", str(LAB / "keys" / name), "-f", "json")
    assert done.returncode == 2
    (key,) = json.loads(done.stdout)["keys"]
    assert (key["kind"], key["opened"]) == ("unusable", 0)
    assert "certificate" in key["error"]
