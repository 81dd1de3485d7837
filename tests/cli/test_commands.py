"""The commands and their formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, easpcap

FIXTURES = ROOT.parent / "shared" / "captures" / "lab"


@pytest.mark.parametrize("command", ["connections", "exchanges", "findings", "timeline"])
@pytest.mark.usefixtures("pipeline")
def test_each_command_writes_each_format(easpcap_main, command):
    section = json.loads(easpcap_main(command, "t.pcap", "--format", "json")[1])
    assert list(section) == ["schema", "tool", command]
    lines = [json.loads(line) for line in easpcap_main(command, "t.pcap", "--format", "jsonl")[1].splitlines()]
    assert len(lines) == len(section[command])
    csv = easpcap_main(command, "t.pcap", "--format", "csv")[1]
    assert csv.count(b"\r\n") == csv.count(b"\n") == len(lines) + 1
    table = easpcap_main(command, "t.pcap", "--format", "table")[1]
    assert len(table.splitlines()) == len(lines) + 1


@pytest.mark.usefixtures("pipeline")
def test_inspect_writes_a_report_json_lines_and_a_csv_of_exchanges(easpcap_main):
    assert b"CRITICAL" in easpcap_main("inspect", "t.pcap")[1]
    assert json.loads(easpcap_main("inspect", "t.pcap", "-f", "json")[1])["schema"] == "easpcap.inspect/1"
    assert easpcap_main("inspect", "t.pcap", "-f", "jsonl")[1].splitlines()[-1].startswith(b'{"type": "summary"')
    assert easpcap_main("inspect", "t.pcap", "-f", "csv")[1].startswith(b"id,connection,index,")


@pytest.mark.usefixtures("pipeline")
def test_the_default_format_of_the_timeline_is_csv(easpcap_main):
    assert easpcap_main("timeline", "t.pcap")[1].startswith(b"time,offset_s,capture,")
    assert easpcap_main("timeline", "t.pcap", "--bom")[1].startswith(b"\xef\xbb\xbftime,")


def test_options_reach_the_analysis(pipeline, easpcap_main, tmp_path):
    (tmp_path / "pw").write_bytes(b"secret\r\n")
    arguments = [
        "a.pcap",
        "b.pcap",
        "--key",
        "k.pem",
        "--key",
        "k.der",
        "--key-log",
        "l",
        "--password-file",
        "pw",
        "--digest",
    ]
    easpcap_main("inspect", *arguments)
    asked = pipeline.asked
    assert asked["paths"] == ["a.pcap", "b.pcap"]
    assert (list(asked["keys"]), list(asked["key_logs"])) == (["k.pem", "k.der"], ["l"])
    assert (asked["password"], asked["digest"]) == (b"secret", True)


@pytest.mark.usefixtures("pipeline")
def test_the_report_names_commands_with_the_arguments_given(easpcap_main):
    out = easpcap_main("inspect", "my trace.pcap", "--key", "k.pem", "--key", "l.pem")[1].decode()
    assert "my trace.pcap" in out.splitlines()[-1]
    assert "--key k.pem --key l.pem --format json" in out


@pytest.mark.usefixtures("pipeline")
def test_output_that_is_not_a_terminal_is_plain_and_100_columns_wide(easpcap_main):
    out = easpcap_main("inspect", "t.pcap")[1].decode()
    assert "\x1b" not in out
    to_be_copied = ("easpcap", "netsh", "appcmd")  # commands are never broken over lines
    assert max(len(line) for line in out.splitlines() if not any(word in line for word in to_be_copied)) <= 100


def test_version_and_help():
    assert easpcap("--version").stdout.startswith(b"easpcap 0.")
    shown = easpcap("--help").stdout.decode()
    for command in ("inspect", "keys", "timeline", "connections", "exchanges", "findings"):
        assert command in shown


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs the lab captures in ../shared/captures/lab")
def test_a_real_deadlock_from_file_and_from_standard_input():
    capture = FIXTURES / "07a_deadlock_wronly_server_abandons.pcap"
    key = str(FIXTURES / "keys" / "server.pem")
    named = easpcap("inspect", str(capture), "--key", key, "--format", "json", "--fail-on", "critical")
    assert (named.returncode, named.stderr) == (1, b"")
    piped = easpcap("inspect", "-", "--key", key, "--format", "json", given=capture.read_bytes())
    document, other = json.loads(named.stdout), json.loads(piped.stdout)
    assert document["findings"][0]["rule"] == "renegotiation-deadlock"
    assert other["connections"] == document["connections"]
    assert other["inputs"][0]["sha256"] == document["inputs"][0]["sha256"]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs the lab captures in ../shared/captures/lab")
def test_real_output_is_valid_by_the_schema():
    from jsonschema import Draft202012Validator

    schema = json.loads((ROOT / "docs/schema/easpcap.inspect.1.json").read_text())
    for name in ("07l_deadlock_ecdhe", "06a_keepalive_one_reneg", "11d_02a_snap200"):
        path, key = Path(FIXTURES, f"{name}.pcap"), str(FIXTURES / "keys" / "server.pem")
        document = json.loads(easpcap("inspect", str(path), "--key", key, "--digest", "--format", "json").stdout)
        assert list(Draft202012Validator(schema).iter_errors(document)) == []


@pytest.mark.usefixtures("pipeline")
def test_the_csv_of_inspect_begins_with_a_byte_order_mark_on_request(easpcap_main):
    assert easpcap_main("inspect", "t.pcap", "-f", "csv", "--bom")[1].startswith(b"\xef\xbb\xbfid,connection,")
