"""Remedies: commands that can be typed, that fit the server, and that lower no limit."""

from __future__ import annotations

import pytest

from easpcap.advice import remedies
from easpcap.advice.site import Site, iis_version, is_apache, proxy_name, safe_name

PLAIN = Site("mail.contoso.com", 443, None)
SITES = [
    PLAIN,
    Site(None, 8443, "Apache/2.4.57 (Debian)"),
    Site("mail.contoso.com", 443, "Microsoft-IIS/6.0"),
    Site("mail.contoso.com", 443, "Microsoft-IIS/10.0", tls13=True),
    Site("mail.contoso.com", 443, "nginx/1.22.1"),
]
ALERTS = [None, "certificate_expired", "certificate_revoked", "unknown_ca", "decrypt_error", "unsupported_certificate"]


def everything(site, size):
    """All remedies that any rule can give for a site."""
    return [
        *remedies.ask_in_first_handshake(
            site, *remedies.free_waiting_threads(site), *remedies.allow_renegotiation(site)
        ),
        *remedies.ask_early_or_without_tls13(site),
        *remedies.raise_read_ahead(site, size),
        *remedies.raise_other_limit(site, size),
        *remedies.begun_by_client(),
        *remedies.supply_certificate(site),
        *(remedy for alert in ALERTS for remedy in remedies.mend_certificate(alert)),
        *remedies.watch_abandoned(),
    ]


@pytest.mark.parametrize("site", SITES)
def test_every_remedy_says_for_what_it_is_where_it_is_documented_and_how_to_verify_it(site):
    for remedy in everything(site, 40_000_000):
        assert remedy.action
        assert not remedy.action.endswith(".")
        assert remedy.where
        assert remedy.source
        assert remedy.verify


@pytest.mark.parametrize("site", SITES)
def test_what_is_typed_names_its_shell_and_can_be_undone(site):
    for remedy in everything(site, 40_000_000):
        assert bool(remedy.commands) == (remedy.shell is not None)
        if remedy.commands:
            assert remedy.undo
            assert remedy.takes_effect
        for command in remedy.commands:
            assert command == command.strip()
            assert "\n" not in command
            assert "   " not in command
            assert "..." not in command


def test_whatever_is_to_be_replaced_in_a_command_is_explained():
    for remedy in everything(PLAIN, 300_000):
        for placeholder in ("HASH", "{GUID}", "w3svc/1", "Default Web Site"):
            if placeholder in " ".join(remedy.commands):
                assert placeholder in " ".join(remedy.notes)


@pytest.mark.parametrize(
    ("software", "first"),
    [
        ("Microsoft-IIS/6.0", "IIS 6"),
        ("Microsoft-IIS/7.5", "IIS 7 to 8.5"),
        ("Microsoft-IIS/8.5", "IIS 7 to 8.5"),
        ("Microsoft-IIS/10.0", "IIS 10"),
        ("Apache/2.4.57 (Debian)", "Apache"),
        (None, "IIS 10"),
    ],
)
def test_the_cure_that_fits_the_server_that_was_seen_comes_first(software, first):
    found = remedies.ask_in_first_handshake(Site("mail.contoso.com", 443, software))
    assert found[0].where.startswith(first)
    for product in ("IIS 6", "IIS 7 to 8.5", "IIS 10", "Apache", "ASP.NET Core", "Azure App Service"):
        assert any(remedy.where.startswith(product) for remedy in found)


def test_a_server_that_speaks_tls_1_3_is_no_old_iis():
    products = [remedy.where for remedy in everything(Site("a.example", 443, None, tls13=True), 300_000)]
    assert not any(where.startswith(("IIS 6 (", "IIS 7 to 8.5", "IIS 10")) for where in products)
    assert "IIS on Windows Server 2022 and later" in products


def test_a_binding_is_named_as_the_client_asked_for_it_or_else_by_port():
    named, unnamed = (remedies.ask_in_first_handshake(Site(name, 8443, None))[0] for name in ("a.example", None))
    assert " hostnameport=a.example:8443 " in named.commands[-1]
    assert any("ipport=0.0.0.0:8443 in place of hostnameport=a.example:8443" in note for note in named.notes)
    assert " ipport=0.0.0.0:8443 " in unnamed.commands[-1]
    assert not any("in place of" in note for note in unnamed.notes)


def test_the_warning_about_downtime_is_given_where_the_binding_is_deleted():
    for remedy in everything(PLAIN, None):
        deletes = any(" delete sslcert " in command for command in remedy.commands)
        assert deletes == ("HTTPS is down between the delete and the add." in remedy.beware)


def test_a_command_that_the_vendor_does_not_document_is_not_called_documented():
    for remedy in everything(PLAIN, 300_000):
        if any(" update sslcert " in command for command in remedy.commands):
            assert not remedy.documented
            assert any("delete sslcert" in note for note in remedy.notes) or remedy.stop_gap


def test_apache_is_given_no_application_pools_and_no_registry():
    apache = Site(None, 443, "Apache/2.4.57")
    assert remedies.free_waiting_threads(apache) == remedies.allow_renegotiation(apache) == []
    assert [remedy.where for remedy in remedies.supply_certificate(apache)][-2:] == ["Apache", "IIS 7 and later"]


def test_an_alert_leads_to_the_log_of_the_server_and_a_403_to_the_sub_status():
    for alert in ALERTS:
        text = " ".join(remedy.action for remedy in remedies.mend_certificate(alert))
        assert ("sub-status" in text) == (alert is None)
        assert ("36888" in text) == (alert is not None)


# --------------------------------------------------------------------------------- sizes


def values(found, name):
    """The numbers that commands set ``name`` to."""
    commands = [command for remedy in found for command in remedy.commands if name in command]
    return [int("".join(filter(str.isdigit, command.split(name, 1)[1].split()[0]))) for command in commands]


@pytest.mark.parametrize(
    ("size", "room"), [(None, 10), (0, 10), (10 * 2**20, 10), (10 * 2**20 + 1, 11), (40_000_000, 39), (2**30, 1024)]
)
def test_room_is_made_in_whole_mib_and_never_less_than_activesync_ships_with(size, room):
    assert remedies.room_for(size) == room * 2**20
    found = remedies.raise_read_ahead(PLAIN, size)
    assert values(found, "/uploadReadAheadSize:") == [room * 2**20]
    assert values(found, "uploadreadaheadsize ") == [room * 2**20]
    assert values(found, "SSLRenegBufferSize ") == [room * 2**20]
    assert values(remedies.raise_other_limit(PLAIN, size), "maxRequestLength=") == [room * 1024]


def test_request_filtering_is_only_raised_and_never_lowered():
    assert values(remedies.raise_other_limit(PLAIN, 300_000), "maxAllowedContentLength:") == []
    assert values(remedies.raise_other_limit(PLAIN, 29_000_000), "maxAllowedContentLength:") == []
    assert values(remedies.raise_other_limit(PLAIN, 40_000_000), "maxAllowedContentLength:") == [39 * 2**20]


def test_the_entity_limit_is_put_back_to_no_limit_whatever_the_size():
    for size in (None, 300_000, 40_000_000):
        assert values(remedies.raise_other_limit(PLAIN, size), "maxRequestEntityAllowed:") == [2**32 - 1]


def test_no_value_beyond_what_iis_takes_is_offered():
    two, four = (remedies.raise_read_ahead(PLAIN, size) for size in (2**31, 2**32))
    assert values(two, "/uploadReadAheadSize:") == []
    assert values(two, "uploadreadaheadsize ") == [2**31]
    assert values(four, "uploadreadaheadsize ") == []
    assert values(remedies.raise_other_limit(PLAIN, 2**32), "maxAllowedContentLength:") == []


def test_a_proxy_is_cured_in_its_configuration():
    nginx, haproxy = (remedies.raise_other_limit(Site(None, 443, name), 2_000_000)[0] for name in ("nginx", "HAProxy"))
    assert (nginx.where, nginx.commands) == ("nginx", ("client_max_body_size 10m;",))
    assert (haproxy.where, haproxy.commands) == ("haproxy", ())


# --------------------------------------------------------------------------------- sites


@pytest.mark.parametrize("name", ["a.example", "A-1.b.example", "x" * 253])
def test_a_host_name_may_be_pasted_into_a_command(name):
    assert safe_name(name) == name


@pytest.mark.parametrize("name", [None, "", "-x", ".x", "a b", "x&calc", "x\n", "x%y", "ü.example", "x" * 254])
def test_any_other_name_may_not(name):
    assert safe_name(name) is None


def test_the_server_header_names_the_product():
    assert [iis_version(Site(None, 1, text)) for text in ("Microsoft-IIS/8.5", "Microsoft-HTTPAPI/2.0", None)] == [
        8,
        None,
        None,
    ]
    assert [is_apache(Site(None, 1, text)) for text in ("apache", "Apache/2.4", "IIS apache", None)] == [
        True,
        True,
        False,
        False,
    ]
    assert [proxy_name(text) for text in ("NGINX/1", "BIG-IP", "Microsoft-IIS/8.5", None)] == [
        "nginx",
        "big-ip",
        None,
        None,
    ]
