"""What an ActiveSync request asks for, in either form of its query."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easpcap.activesync.command import Command, parse_command
from easpcap.activesync.query import COMMANDS

SHARED = Path(__file__).parents[3] / "shared"
ENDPOINT = "/Microsoft-Server-ActiveSync"


def parse(target, method="POST", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_command(method, target, fields.get)


def packed(*tags, version=140, code=1, device=b"ApplX", key=b"", kind=b"iPhone"):
    """A base64 query as [MS-ASHTTP] 2.2.1.1.1.1 lays it out."""
    query = bytes([version, code, 9, 4, len(device)]) + device + bytes([len(key)]) + key + bytes([len(kind)]) + kind
    return query + b"".join(bytes([tag, len(value)]) + value for tag, value in tags)


def test_a_plain_query():
    command = parse(
        ENDPOINT + "?Cmd=SendMail&User=CONTOSO%5Canna&DeviceId=Appl82832FQFY7K&DeviceType=iPhone&SaveInSent=T",
        ms_asprotocolversion="12.1",
        x_ms_policykey="2034202722",
        user_agent="Apple-iPhone3C1/802.117",
    )
    assert command == Command(
        command="SendMail",
        user="CONTOSO\\anna",
        device_id="Appl82832FQFY7K",
        device_type="iPhone",
        protocol_version="12.1",
        policy_key="2034202722",
        device_name="iPhone 4, iOS 4.1",
    )


def test_the_example_of_the_specification():
    command = parse(ENDPOINT + "?jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l")
    assert (command.command, command.protocol_version) == ("Sync", "14.0")
    assert (command.device_id, command.device_type) == ("v140Device", "SmartPhone")
    assert (command.user, command.policy_key) == (None, None)


@pytest.mark.parametrize("code", COMMANDS)
def test_every_command_has_its_code(code):
    query = packed((8, b"anna"), code=code, key=(77).to_bytes(4, "little"))
    command = parse(f"{ENDPOINT}?{base64.b64encode(query).decode()}")
    assert (command.command, command.user, command.policy_key) == (COMMANDS[code], "anna", "77")


def test_an_unknown_code_survives():
    assert parse(f"{ENDPOINT}?{base64.b64encode(packed(code=99)).decode()}").command == "command 99"


def test_padding_alphabet_and_percent_signs_do_not_matter():
    query = packed((8, b"\xc3\xbf\xc3\xbe??>>"))
    forms = [
        base64.b64encode(query).decode(),
        base64.b64encode(query).decode().rstrip("="),
        base64.urlsafe_b64encode(query).decode(),
        base64.b64encode(query).decode().replace("=", "%3D").replace("+", "%2B").replace("/", "%2f"),
    ]
    assert len({parse(f"{ENDPOINT}?{form}") for form in forms}) == 1
    assert parse(f"{ENDPOINT}?{forms[0]}").user == "\xff\xfe??>>"


def test_a_device_id_of_raw_bytes_is_shown_in_hexadecimal():
    command = parse(f"{ENDPOINT}?{base64.b64encode(packed(device=bytes(range(16)))).decode()}")
    assert command.device_id == bytes(range(16)).hex()


def test_device_ids_that_are_not_utf8_are_shown_in_hexadecimal_and_stay_different():
    ids = [b"Phone\xff1", b"Phone\xfe1", b"Phone\xef\xbf\xbd1"]  # the last is a replacement character on the wire
    shown = [parse(f"{ENDPOINT}?{base64.b64encode(packed(device=raw)).decode()}").device_id for raw in ids]
    assert shown == [raw.hex() for raw in ids]


def test_a_policy_key_that_is_not_four_bytes_long_is_left_out():
    assert parse(f"{ENDPOINT}?{base64.b64encode(packed(key=b'abc')).decode()}").policy_key is None


def test_header_fields_take_precedence_over_the_query():
    target = f"{ENDPOINT}?{base64.b64encode(packed(version=121, key=(77).to_bytes(4, 'little'))).decode()}"
    command = parse(target, ms_asprotocolversion="14.1", x_ms_policykey="78")
    assert (command.protocol_version, command.policy_key) == ("14.1", "78")


def test_a_truncated_base64_query_is_read_up_to_its_end():
    query = packed((8, b"anna"))
    torn = parse(f"{ENDPOINT}?{base64.b64encode(query[:14]).decode()}")
    assert (torn.command, torn.device_id, torn.device_type, torn.user) == ("SendMail", "ApplX", None, None)


@pytest.mark.parametrize(
    "path",
    [
        ENDPOINT, ENDPOINT.lower() + "/", ENDPOINT + "/default.eas", "/default.eas", "/Proxy/Default.EAS",
        "https://mail.example" + ENDPOINT, "//Microsoft-Server-ActiveSync",
    ],
)  # fmt: skip
def test_the_endpoints(path):
    assert parse(path + "?Cmd=Ping&DeviceId=a&DeviceType=b&User=c").command == "Ping"


@pytest.mark.parametrize(
    "path", ["/", "", "*", "/owa", "/Microsoft-Server-ActiveSyncX", "/x?/Microsoft-Server-ActiveSync"]
)
def test_other_targets_are_not_the_endpoint(path):
    assert parse(path) is None


def test_options_is_a_command_too():
    assert parse(ENDPOINT, "OPTIONS").command == "OPTIONS"
    assert parse(ENDPOINT + "?User=a&DeviceId=b&DeviceType=c", "OPTIONS").device_id == "b"


def test_absent_values_are_none():
    assert parse(ENDPOINT) == Command(None, None, None, None, None)
    assert parse(ENDPOINT + "?Cmd=&User=&DeviceId") == Command(None, None, None, None, None)


def test_parameter_names_ignore_case_and_values_keep_it():
    command = parse(ENDPOINT + "?cmd=Sync&USER=a%2Bb%40c&deviceid=D&Cmd=Ping&user=%E9")
    assert (command.command, command.user, command.device_id) == ("Sync", "a+b@c", "D")
    assert parse(ENDPOINT + "?User=%E9").user == "\xe9"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_target_and_no_user_agent_raise(query, user_agent):
    command = parse(f"{ENDPOINT}?{query}", user_agent=user_agent)
    assert isinstance(command, Command)


@given(st.binary(max_size=80), st.integers(0, 80), st.integers(0, 255))
def test_no_packed_query_raises(tail, at, value):
    query = bytearray(packed((8, b"anna")) + tail)
    query[at % len(query)] = value
    assert isinstance(parse(f"{ENDPOINT}?{base64.b64encode(bytes(query)).decode()}"), Command)


def _seen():
    folder = SHARED / "captures" / "activesync"
    for path in sorted(folder.glob("*.expected.json")):
        for request in json.loads(path.read_text())["requests"]:
            yield request["method"], request["uri"], request["cmd"]


@pytest.mark.skipif(
    not (SHARED / "captures" / "activesync").is_dir(), reason="needs the captures in ../shared/captures/activesync"
)
def test_requests_are_read_as_servers_logged_them():
    seen = list(_seen())
    assert len(seen) > 100
    for method, uri, logged in seen:
        command = parse(uri, method)
        if command is not None:
            assert command.command == (logged or None)
