"""The command ``verify``: every format, the exit statuses, and what it says where it cannot work."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from jsonschema import Draft202012Validator

from easpcap.verify import second_opinion
from tests.cli.commands import ROOT, easpcap

CAPTURES, KEYS = ROOT / "fixtures" / "captures", ROOT / "fixtures" / "keys"
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/schema/easpcap.verify.1.json").read_text()))
TRACE, KEY = str(CAPTURES / "apache-413.pcap"), str(KEYS / "server.pem")
TLS13 = str(CAPTURES / "tls13-apache.pcap"), "--key-log", str(CAPTURES / "tls13-apache.keys")

asks_tshark = [
    pytest.mark.oracle,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]


class TestWithTshark:
    pytestmark = asks_tshark

    def test_the_report_says_that_both_agree(self):
        done = easpcap("verify", TRACE, "--key", KEY)
        assert (done.returncode, done.stderr) == (0, b"")
        text = done.stdout.decode()
        assert text.startswith("Verified    with tshark ")
        assert "both tools agree on" in text
        assert "handshakes" in text
        assert "EXPLAINED" not in text

    def test_json_and_json_lines_hold_the_schema(self):
        document = json.loads(easpcap("verify", TRACE, "--key", KEY, "-f", "json").stdout)
        assert [error.message for error in SCHEMA.iter_errors(document)] == []
        summary = document["summary"]
        assert summary["agreed"] == summary["connections"] > 0
        assert summary["unexplained"] == 0
        lines = [json.loads(line) for line in easpcap("verify", TRACE, "--key", KEY, "-f", "jsonl").stdout.splitlines()]
        assert [line for line in lines if line.pop("type") == "comparison"] == document["comparisons"]

    def test_csv_has_a_row_per_connection_and_aspect(self):
        done = easpcap("verify", *TLS13, "-f", "csv")
        rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
        assert {row["result"] for row in rows} == {"agreed"}
        (data,) = (row for row in rows if (row["connection"], row["aspect"]) == ("0", "data-to-server"))
        assert "SHA-256" in data["easpcap"]
        assert data["easpcap"] == data["tshark"]

    def test_no_key_material_is_in_any_output(self):
        secrets = [line.split()[-1] for line in (CAPTURES / "tls13-apache.keys").read_text().splitlines()]
        for chosen in ("table", "json", "jsonl", "csv"):
            done = easpcap("verify", *TLS13, "-f", chosen)
            assert not any(secret in (done.stdout + done.stderr).decode() for secret in secrets if len(secret) > 30)

    def test_keys_that_decrypt_nothing_have_their_status(self):
        done = easpcap("verify", str(CAPTURES / "ecdhe-opaque.pcap"), "--key", KEY)
        assert done.returncode == 3
        assert b"both tools agree on 1" in done.stdout

    def test_a_difference_that_nothing_explains_is_status_one(self, easpcap_main, monkeypatch):
        own = second_opinion.own_opinion

        def mistaken(connection, anomalies):
            opinion = own(connection, anomalies)
            opinion.statuses[599] += 1
            return opinion

        monkeypatch.setattr(second_opinion, "own_opinion", mistaken)
        status, output, errors = easpcap_main("verify", TRACE, "--key", KEY)
        assert (status, errors) == (1, "")
        text = output.decode()
        assert "UNEXPLAINED  statuses of connection 0" in text
        assert "  easpcap  200 (2 times), 599\n  tshark   200 (2 times)\n" in text
        assert "Wireshark: tcp.stream eq 0" in text


def test_where_tshark_is_absent_one_line_says_how_to_get_it(tmp_path):
    done = easpcap("verify", TRACE, "--key", KEY, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"easpcap: verify needs tshark 3.0 or newer")
    assert done.stderr.count(b"\n") == 1


def test_what_can_be_read_only_once_is_refused():
    done = easpcap("verify", "-", given=b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"several times; save it as a file" in done.stderr


def test_options_without_a_meaning_here_are_not_offered():
    text = easpcap("verify", "--help").stdout
    assert b"--key-log" in text
    assert b"--fail-on" not in text
    assert b"--digest" not in text
