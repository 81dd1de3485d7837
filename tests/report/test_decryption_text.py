"""What a verdict says in words: one renderer for the JSON, the report and ``keys``."""

from __future__ import annotations

from typing import get_args

import pytest

from easpcap.report.decryption_text import REASON_WORDS, common_advice, decryption_advice, decryption_detail
from easpcap.report.rows import connection_row
from easpcap.report.text.decryption import decryption_lines
from easpcap.report.text.layout import Layout
from easpcap.results import Analysis, Decryption, FirstUndecrypted
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.tls.handshake.verdict import Unsupported
from easpcap.tls.reasons import Reason
from tests.report import builders
from tests.report.builders import at

REASONS = get_args(Reason)
THUMBPRINT = "2580ED2AD338FD7B8A7DB14FB396A0D8DA6C880A"
SUITE = "TLS_RSA_WITH_AES_128_CBC_SHA"


def detail(reason, status="opaque", **parameters):
    return decryption_detail(Decryption(status, reason, **parameters))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_words_and_advice(reason):
    assert REASON_WORDS[reason]
    text = detail(reason)
    assert text.endswith(".")
    assert not set("{}\n") & set(text)


@pytest.mark.parametrize("status", ["decrypted", "plaintext", "none"])
def test_where_nothing_is_wrong_nothing_is_said(status):
    assert detail(None, status) is None


@pytest.mark.parametrize("reason", ["key-mismatch", "no-key"])
def test_the_thumbprint_of_the_servers_certificate_is_in_the_sentence(reason):
    assert f"certificate (thumbprint {THUMBPRINT})" in detail(reason, thumbprint=THUMBPRINT)
    assert "thumbprint" not in detail(reason)


def test_forward_secrecy_asks_for_a_key_log_unless_one_was_given():
    assert "Take a key log on the client" in detail("forward-secrecy")
    assert "the key log you gave has no line for this connection" in detail("forward-secrecy", key_log_given=True)


def test_missing_labels_are_listed():
    one = detail("key-log-lacks-session", missing_secrets=("CLIENT_TRAFFIC_SECRET_0",))
    assert "has no CLIENT_TRAFFIC_SECRET_0 line for it" in one
    two = detail("key-log-lacks-session", missing_secrets=("A_SECRET", "B_SECRET"))
    assert "has no A_SECRET and no B_SECRET line for it" in two


def test_hidden_record_types_are_mentioned():
    assert "TLS 1.3 hides record types" in detail("needs-key-log", record_types_hidden=True)
    assert "TLS 1.3" not in detail("needs-key-log")


@pytest.mark.parametrize(
    ("what", "named", "instead"),
    [
        (Unsupported("SSL 2.0", "SSL_CK_RC4_128_WITH_MD5"), "SSL 2.0 (SSL_CK_RC4_128_WITH_MD5)", "cipher suite"),
        (Unsupported("SSL 2.0", None), "SSL 2.0", "cipher suite"),
        (Unsupported("TLS 1.2", "TLS_RSA_WITH_ARIA"), "TLS_RSA_WITH_ARIA", "cipher suite"),
        (Unsupported("TLS 1.2", SUITE, True, 64), f"{SUITE} with compression method 64", "compression off"),
        (Unsupported("TLS 1.2", "TLS_RSA_WITH_ARIA", False, 64), "TLS_RSA_WITH_ARIA", "cipher suite"),
        (Unsupported("TLS 1.3", "TLS_AES_128", True, 0, 16), "TLS_AES_128 with TLS 1.3 draft 16", "cipher suite"),
        (Unsupported("SSL 3.0", SUITE, True), f"{SUITE} with SSL 3.0", "cipher suite"),
        (None, "this cipher suite", "cipher suite"),
    ],
)
def test_what_cannot_be_decrypted_is_in_the_sentence(what, named, instead):
    text = detail("unsupported-suite", unsupported=what)
    assert text.startswith(f"easpcap cannot decrypt {named}. ")
    assert instead in text


@pytest.mark.parametrize(("number", "ordinal"), [(2, "second"), (10, "tenth"), (11, "11th")])
def test_the_handshake_that_lacks_its_secrets_is_in_the_sentence(number, ordinal):
    assert f"The secrets of the {ordinal} handshake, a renegotiation, are missing." in detail(
        "no-key", later_handshake=number
    )


def test_a_later_handshake_under_the_first_needs_secrets_too():
    assert "A later handshake is encrypted under them" in detail("no-key", hides_later_handshake=True)
    assert "handshake" not in detail("no-key")


@pytest.mark.parametrize(("direction", "side"), [(TO_SERVER, "server"), (TO_CLIENT, "client")])
def test_the_place_where_decryption_stopped_is_in_the_sentence(direction, side):
    place = FirstUndecrypted(direction, 65_536, 12_345)
    text = detail("gap", "partial", first_undecrypted=place)
    assert text.endswith(f"begins in frame 12345, 65,536 bytes into the stream to the {side}.")
    later = detail("gap", "partial", first_undecrypted=place, decrypted_later=True)
    assert later.endswith("; later records were decrypted again.")
    assert "frame" not in decryption_advice(Decryption("partial", "gap", first_undecrypted=place))


def test_several_connections_get_the_advice_that_most_of_them_need():
    first, later = Decryption("opaque", "no-key"), Decryption("opaque", "no-key", later_handshake=2)
    assert common_advice([later, first, later]) == decryption_advice(later)
    assert common_advice([]) is None


def test_a_thumbprint_that_not_all_connections_share_is_left_out():
    one, two = (Decryption("opaque", "no-key", thumbprint=thumbprint) for thumbprint in ("AA", "BB"))
    assert "(thumbprint AA)" in common_advice([one, one])
    assert "thumbprint" not in common_advice([one, one, two])


# -- where the words appear ------------------------------------------------------------------------------------------


def connection(number, *, status="opaque", reason="forward-secrecy", **more):
    verdict = Decryption(status, reason, **more)
    return builders.connection(number, at(1 + number, 0.0), at(2 + number, 1.0), decryption=verdict)


def section(*connections, keys=()):
    analysis = Analysis([builders.input_file()], list(keys), list(connections), [], {})
    return " ".join("".join(decryption_lines(analysis, Layout(120))).split())


def test_the_json_has_the_same_sentence():
    decryption = connection_row(connection(0, reason="no-key", thumbprint=THUMBPRINT))["decryption"]
    assert decryption["detail"] == detail("no-key", thumbprint=THUMBPRINT)
    assert (decryption["status"], decryption["reason"]) == ("opaque", "no-key")


def test_one_connection_says_where_it_stopped_and_several_do_not():
    partly = {"status": "partial", "reason": "gap", "first_undecrypted": FirstUndecrypted(TO_SERVER, 1, 2)}
    assert "begins in frame 2" in section(connection(0, **partly))
    assert "begins in frame" not in section(connection(0, **partly), connection(1, **partly))


@pytest.mark.parametrize(
    ("reasons", "why"),
    [
        (["forward-secrecy"], "is the right key for 1 connection, but forward secrecy means it cannot decrypt it"),
        (
            ["forward-secrecy"] * 2,
            "is the right key for 2 connections, but forward secrecy means it cannot decrypt them",
        ),
        (["gap"], "1 connection, but it could not decrypt it (packets are missing from the capture)"),
        (["gap", "no-key", "gap"], "them (packets are missing from the capture; no key was given)"),
        ([None], "is the right key for 1 connection, but there was nothing to decrypt on it"),
    ],
)
def test_a_right_key_that_decrypts_nothing_says_why(reasons, why):
    connections = [connection(n, status="opaque" if r else "none", reason=r) for n, r in enumerate(reasons)]
    key = builders.key_file(matches=list(range(len(reasons))))
    assert f"server.pem (RSA 2048) {'' if why.startswith('is') else 'is the right key for '}" in section(
        *connections, keys=[key]
    )
    assert why in section(*connections, keys=[key])


def test_a_key_that_matches_nothing_says_so():
    assert "server.pem (RSA 2048) matches no connection in this capture" in section(
        connection(0), keys=[builders.key_file()]
    )


def test_the_most_frequent_reason_comes_first():
    lines = section(connection(0, reason="gap"), connection(1, reason="no-key"), connection(2, reason="no-key"))
    assert lines.index("2 connections not (no-key)") < lines.index("connection 0 not (gap)")


def test_connections_decrypted_in_part_are_counted_as_decrypted():
    partly, closed = connection(0, status="partial", reason="gap"), connection(1)
    assert "1 of 2 connections decrypted (1 in part)" in section(partly, closed)
    assert "Decryption 1 connection decrypted (1 in part)" in section(partly)


def decrypted(number, certificate):
    return builders.connection(
        number, at(1 + number, 0.0), at(2 + number, 1.0), tls=builders.tls(server_certificate=certificate)
    )


def test_the_thumbprint_is_shown_where_all_connections_have_one_certificate():
    keys = [builders.key_file(matches=[0, 1])]
    assert "; certificate of mail.contoso.com, thumbprint " in section(
        decrypted(0, b"one"), decrypted(1, b"one"), keys=keys
    )
    assert "thumbprint" not in section(decrypted(0, b"one"), decrypted(1, b"two"), keys=keys)


def test_of_files_with_the_same_key_the_first_is_named():
    keys = [builders.key_file(path=path, matches=[0]) for path in ("first.pem", "second.pem")]
    lines = section(decrypted(0, b"one"), keys=keys)
    assert "decrypted, with first.pem (RSA 2048)" in lines
    assert "second.pem" not in lines
