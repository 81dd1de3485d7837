"""What ``easpcap keys`` reports: servers, certificates, keys, and why connections were not decrypted."""

from __future__ import annotations

from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from easpcap.advice.decryption_steps import PLACEHOLDER, STEPS
from easpcap.advice.preflight import preflight
from easpcap.report.server_rows import csv_rows, sections, summary
from easpcap.results import Analysis, Decryption, KeyFile
from easpcap.stream import Endpoint
from easpcap.tls.reasons import Reason
from tests.advice.test_certificates import DER, made
from tests.report import builders
from tests.report.builders import at

FINGERPRINT = "8752c99284fac0336c647a2d32b259202aaa5ff0e7e8cb4c39e6c898aa24314d"  # of the fixture's key, by OpenSSL
RENEWED = made(ec.generate_private_key(ec.SECP256R1()))


def connected(number: int, *, status: str = "decrypted", reason: str | None = None, tls=None, **more):
    values = {"tls": builders.tls(**(tls or {})), "decryption": Decryption(status, reason), **more}
    return builders.connection(number, at(1 + number, number), at(2 + number, number + 0.5), **values)


def analysed(*connections, keys=()) -> Analysis:
    return Analysis([builders.input_file()], list(keys), list(connections), [], {})


def test_connections_of_one_address_and_port_are_one_server():
    other = connected(2, server=Endpoint("198.51.100.1", 8443))
    named = connected(1, tls={"server_name": "autodiscover.contoso.com", "cipher_suite": "TLS_RSA_WITH_RC4_128_MD5"})
    found = preflight(analysed(other, connected(0), named, connected(3)))
    first, second = found.servers
    assert (str(first.endpoint), first.connections) == ("198.51.100.1:443", [0, 1, 3])
    assert first.names == ["mail.contoso.com", "autodiscover.contoso.com"]
    assert first.suites == [
        ("TLS 1.0", "TLS_RSA_WITH_AES_128_CBC_SHA", 2),
        ("TLS 1.0", "TLS_RSA_WITH_RC4_128_MD5", 1),
    ]
    assert second.connections == [2]


def test_servers_without_tls_are_counted():
    plain = connected(1, status="plaintext", server=Endpoint("192.0.2.9", 80))
    plain.tls = None
    beside = connected(2, status="plaintext")
    beside.tls = None
    found = preflight(analysed(connected(0), plain, beside))
    assert len(found.servers) == 1
    assert (found.servers_without_tls, found.connections_without_tls) == (1, 2)
    assert found.servers[0].without_tls == 1


def test_an_old_and_a_renewed_certificate_are_both_listed():
    old = connected(0, tls={"server_certificate": RENEWED})
    new = connected(1, tls={"server_certificate": DER})
    again = connected(2, tls={"server_certificate": DER})
    (server,) = preflight(analysed(old, new, again)).servers
    assert [c.connections for c in server.certificates] == [[0], [1, 2]]
    assert server.certificates[1].facts.fingerprint == FINGERPRINT
    assert server.unseen == []


def test_a_certificate_is_judged_at_the_time_of_the_capture():
    (server,) = preflight(analysed(connected(0, tls={"server_certificate": RENEWED}))).servers
    assert server.certificates[0].validity is None  # 2010, and the capture is of November 2010
    (server,) = preflight(analysed(connected(0, tls={"server_certificate": DER}))).servers
    assert server.certificates[0].validity == "not-yet-valid"
    late = connected(0, tls={"server_certificate": RENEWED})
    late.first = at(1, 100 * 86_400.0)
    (server,) = preflight(analysed(late)).servers
    assert server.certificates[0].validity == "expired"


def test_a_key_fits_by_its_fingerprint_or_by_what_it_was_matched_with():
    fitting = builders.key_file(fingerprint=FINGERPRINT, matches=[0])
    twin = builders.key_file(path="copy.pem", fingerprint=FINGERPRINT)
    second_in_file = builders.key_file(path="all.pem", fingerprint="cd" * 32, matches=[0])
    wrong = builders.key_file(path="old.pem", fingerprint="ef" * 32)
    connection = connected(0, tls={"server_certificate": DER}, key_sources=frozenset({0}))
    found = preflight(analysed(connection, keys=[fitting, twin, second_in_file, wrong]))
    assert found.servers[0].certificates[0].keys == ["server.pem", "copy.pem", "all.pem"]
    assert [use.fits for use in found.keys] == [True, True, True, False]
    assert [use.opened for use in found.keys] == [1, 0, 0, 0]
    assert found.keys[3].servers == []


def test_a_key_that_fits_but_decrypts_nothing_has_the_reasons():
    key = builders.key_file(fingerprint=FINGERPRINT, matches=[0])
    closed = connected(0, status="opaque", reason="forward-secrecy", tls={"server_certificate": DER})
    (use,) = preflight(analysed(closed, keys=[key])).keys
    assert (use.fits, use.opened, use.reasons) == (True, 0, ["forward-secrecy"])


def test_a_key_log_fits_no_certificate_but_opens_connections():
    log = KeyFile("client.keys", "key-log", secrets=2, matches=[0])
    opened = connected(0, tls={"server_certificate": DER}, key_sources=frozenset({0}))
    found = preflight(analysed(opened, keys=[log]))
    assert (found.keys[0].fits, found.keys[0].opened) == (False, 1)
    assert [str(server.endpoint) for server in found.keys[0].servers] == ["198.51.100.1:443"]
    assert found.servers[0].certificates[0].keys == []


@pytest.mark.parametrize(
    ("why", "reason", "tls", "more"),
    [
        ("encrypted", "needs-key-log", {"version": "TLS 1.3"}, {}),
        ("resumed", None, {"resumed": "ticket"}, {}),
        ("resumed", "needs-key-log", {"version": "TLS 1.3", "resumed": "psk"}, {}),
        ("resumed", "resumed-session-not-captured", {}, {}),
        ("none-sent", "needs-key-log", {"cipher_suite": "TLS_DH_anon_WITH_AES_128_CBC_SHA"}, {}),
        ("none-sent", "needs-key-log", {"cipher_suite": "TLS_PSK_WITH_AES_128_CBC_SHA"}, {}),
        ("unfinished", "needs-key-log", {"cipher_suite": "TLS_RSA_PSK_WITH_AES_128_CBC_SHA"}, {}),
        ("handshake-not-captured", "handshake-not-captured", {"version": None, "cipher_suite": None}, {}),
        ("one-direction-missing", "one-direction-missing", {"version": None}, {}),
        ("truncated-packets", "truncated-packets", {}, {}),
        ("gap", "no-key", {}, {"gaps": (0, 1460)}),
        ("unsupported-version", "unsupported-suite", {"version": "SSL 2.0"}, {}),
        ("unanswered", None, {"version": None, "cipher_suite": None}, {}),
        ("unfinished", None, {}, {}),
    ],
)
def test_a_server_without_a_seen_certificate_has_the_cause(why, reason, tls, more):
    status = "opaque" if reason else "none"
    connection = connected(0, status=status, reason=reason, tls={"server_certificate": None, **tls}, **more)
    (server,) = preflight(analysed(connection)).servers
    assert server.certificates == []
    assert server.unseen == [(why, 1)]


def test_obstacles_are_grouped_by_reason_and_their_steps_name_the_right_thumbprint():
    renewed = connected(0, status="opaque", reason="key-mismatch", tls={"server_certificate": DER})
    partly = connected(1, status="partial", reason="gap", tls={"server_certificate": RENEWED})
    cut = connected(2, status="opaque", reason="gap", tls={"server_certificate": DER})
    (server,) = preflight(analysed(renewed, partly, cut)).servers
    gap, mismatch = server.obstacles
    assert (gap.reason, gap.connections, gap.partial) == ("gap", [1, 2], 1)
    assert (mismatch.reason, mismatch.connections, mismatch.partial) == ("key-mismatch", [0], 0)
    commands = " ".join(command for how in mismatch.step.how for command in how.commands)
    assert "certutil -exportPFX My 2580ED2AD338FD7B8A7DB14FB396A0D8DA6C880A server.pfx" in commands
    assert PLACEHOLDER not in commands


def test_where_several_certificates_are_concerned_no_thumbprint_is_picked():
    pair = [
        connected(n, status="opaque", reason="no-key", tls={"server_certificate": der})
        for n, der in enumerate((DER, RENEWED))
    ]
    (server,) = preflight(analysed(*pair)).servers
    assert PLACEHOLDER in " ".join(command for how in server.obstacles[0].step.how for command in how.commands)


def test_every_reason_has_a_step():
    assert set(STEPS) == set(get_args(Reason))


def test_an_obstacle_has_the_verdict_on_its_first_connection():
    first, second = (Decryption("opaque", "no-key", thumbprint=thumbprint) for thumbprint in ("AA", "BB"))
    (server,) = preflight(analysed(connected(0, decryption=first), connected(1, decryption=second))).servers
    assert server.obstacles[0].verdict is first


def test_what_would_decrypt_the_rest_is_counted():
    ecdhe = {"cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}
    found = preflight(
        analysed(
            connected(0, status="opaque", reason="no-key"),
            connected(1, status="opaque", reason="key-log-lacks-session"),
            connected(2, status="opaque", reason="key-log-lacks-session", tls=ecdhe),
            connected(3, status="opaque", reason="forward-secrecy", tls=ecdhe),
            connected(4, status="opaque", reason="gap"),
            connected(5, status="opaque", reason="key-mismatch"),
            connected(6, status="partial", reason="no-key"),
        )
    )
    assert (found.by_private_key, found.by_key_log) == (3, 1)
    assert summary(found)["openable"] == {"by_private_key": 3, "by_key_log": 1}


@pytest.mark.parametrize("reason", ["needs-key-log", "forward-secrecy"])
def test_a_connection_that_needs_a_key_log_is_not_counted_as_opened_by_a_private_key(reason):
    found = preflight(analysed(connected(0, status="opaque", reason=reason)))
    assert (found.by_private_key, found.by_key_log) == (0, 1)


def test_csv_has_a_row_for_each_certificate_and_one_where_none_was_seen():
    hidden = connected(2, tls={"server_certificate": None}, server=Endpoint("192.0.2.9", 443))
    pair = [connected(n, tls={"server_certificate": der}) for n, der in enumerate((DER, RENEWED))]
    rows = list(csv_rows(preflight(analysed(*pair, hidden))))
    assert [row["server"]["address"] for row in rows] == ["198.51.100.1", "198.51.100.1", "192.0.2.9"]
    assert [row["certificate"] is None for row in rows] == [False, False, True]


def test_the_rows_have_the_documented_sections():
    found = preflight(builders.incident())
    assert list(sections(builders.incident(), found)) == ["inputs", "keys", "servers"]
    (server,) = sections(builders.incident(), found)["servers"]
    assert server["certificates"][0]["error"] == "not a readable X.509 certificate"
    assert server["connections"] == {"tls": 3, "decrypted": 2, "partial": 0, "opaque": 1, "none": 0, "without_tls": 0}


def test_a_key_fits_only_the_certificates_of_connections_that_it_matched():
    second_in_file = builders.key_file(fingerprint="cd" * 32, matches=[0])
    pair = [connected(n, tls={"server_certificate": der}) for n, der in enumerate((DER, RENEWED))]
    (server,) = preflight(analysed(*pair, keys=[second_in_file])).servers
    assert [certificate.keys for certificate in server.certificates] == [["server.pem"], []]


def test_connections_that_a_key_decrypts_are_not_counted_as_decrypted_by_others():
    key = builders.key_file(fingerprint=FINGERPRINT, matches=[0, 1, 2])
    log = KeyFile("client.keys", "key-log", secrets=1, matches=[1])
    by_key = connected(0, tls={"server_certificate": DER}, key_sources=frozenset({0}))
    by_log = connected(1, tls={"server_certificate": DER}, key_sources=frozenset({1}))
    closed = connected(2, status="opaque", reason="gap", tls={"server_certificate": DER})
    use, _ = preflight(analysed(by_key, by_log, closed, keys=[key, log])).keys
    assert (use.opened, use.by_others, use.reasons) == (1, 1, ["gap"])


def test_a_certificate_file_is_not_called_the_same_as_its_key():
    certificate = KeyFile("server.crt", "unusable", FINGERPRINT)
    keys = [
        builders.key_file(fingerprint=FINGERPRINT),
        certificate,
        builders.key_file(path="copy", fingerprint=FINGERPRINT),
    ]
    found = preflight(analysed(connected(0), keys=keys))
    assert [use.same_as for use in found.keys] == [None, None, "server.pem"]


def test_servers_with_equally_many_connections_are_in_the_order_of_the_capture():
    ends = [Endpoint(f"192.0.2.{last}", 443) for last in (3, 1, 2)]
    one, two, three = (connected(number, server=end) for number, end in enumerate(ends))
    assert [server.endpoint for server in preflight(analysed(one, two, three)).servers] == ends
    most = preflight(analysed(one, two, three, connected(3, server=ends[2]))).servers
    assert [server.endpoint for server in most] == [ends[2], ends[0], ends[1]]
