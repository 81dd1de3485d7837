"""What to change, as commands with what they cost. Lines that begin with "Beware:" tell side effects.

Facts come from the documentation named in docs/findings.md; "reported" marks what no public source confirms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice.site import iis_version, is_apache, proxy_name

if TYPE_CHECKING:
    from easpcap.advice.site import Site

READ_AHEAD_DEFAULT = 49_152  # IIS uploadReadAheadSize, bytes
APACHE_BUFFER_DEFAULT = 131_072  # mod_ssl SSLRenegBufferSize, bytes
FILTERING_DEFAULT = 30_000_000  # IIS requestLimits maxAllowedContentLength, bytes
MEBIBYTE = 2**20

ADSUTIL = r"cscript %SystemDrive%\Inetpub\AdminScripts\adsutil.vbs set"
APPCMD = r"%windir%\system32\inetsrv\appcmd.exe set config"
SYNC_DIRECTORY = '"Default Web Site/Microsoft-Server-ActiveSync"'
RESTART_IIS6 = "then restart the IIS Admin service (reported: iisreset is not enough)"


#: For servers that the commands do not fit, and what follows from asking everybody.
_ELSEWHERE = (
    "Kestrel: not ClientCertificateMode.DelayCertificate. HTTP.sys applications: the netsh commands for IIS.",
    "Azure App Service: not to be changed; clients must send Expect: 100-continue, or a small request first.",
    (
        "Beware: every client of that binding is then asked for a certificate: browsers prompt, probes and Outlook "
        "Autodiscover may trip over it (the latter reported). Give ActiveSync a host name or address of its own."
    ),
    "Beware: a binding made anew in IIS Manager loses clientcertnegotiation.",
)


def ask_in_first_handshake(site: Site) -> list[str]:
    """Ask for the client certificate in the first handshake, so that no request is interrupted for it."""
    return [*_where_it_is_asked(site), *_ELSEWHERE]


def _where_it_is_asked(site: Site) -> list[str]:
    windows, apache = _iis_binding(site), _apache_virtual_host()
    return [*apache, *windows] if is_apache(site) else [*windows, *apache]


def ask_early_or_without_tls13(site: Site) -> list[str]:
    """TLS 1.3 lets a server ask later only where the client offers it, and few clients do."""
    by_name = f"hostnameport={site.name}:{site.port}" if site.name else f"ipport=0.0.0.0:{site.port}"
    windows = (
        f"Or, as a stop-gap, no TLS 1.3 on that binding (Windows Server 2022 and later): netsh http update sslcert "
        f"{by_name} disabletls13=enable   (new connections; also a check box of the binding in IIS Manager)"
    )
    apache = "Or, as a stop-gap, no TLS 1.3 in that virtual host: Apache: SSLProtocol all -TLSv1.3   (after a restart)"
    return [
        *_where_it_is_asked(site),
        *([apache, windows] if is_apache(site) else [windows, apache]),
        *_ELSEWHERE,
        (
            "Beware: without TLS 1.3 the certificate is asked for by renegotiation again, and uploads larger than what "
            "the server reads ahead fail over that; all clients of the binding go back to TLS 1.2."
        ),
    ]


def raise_read_ahead(site: Site, size: int | None) -> list[str]:
    """Let the server read a body of ``size`` bytes before it asks; helps until a larger mail comes."""
    wanted = room_for(size)
    windows = [
        (
            f"Or let the server read more before it asks. IIS 7 and later: {APPCMD} {SYNC_DIRECTORY} "
            f"-section:system.webServer/serverRuntime /uploadReadAheadSize:{wanted} /commit:apphost   (new requests "
            "at once)"
        ),
        *([] if site.tls13 else [f"IIS 6: {ADSUTIL} w3svc/1/uploadreadaheadsize {wanted}, {RESTART_IIS6}"]),
    ]
    apache = [
        (
            "Or let the server read more before it asks. Apache: "
            f"SSLRenegBufferSize {wanted} where SSLVerifyClient stands   (after a reload)"
        )
    ]
    return [
        *([*apache, *windows] if is_apache(site) else [*windows, *apache]),
        (
            f"Beware: the unit is bytes, not KB, and {READ_AHEAD_DEFAULT} is already the default of IIS: setting that "
            "changes "
            f"nothing (Apache: {APACHE_BUFFER_DEFAULT})."
        ),
        "Beware: each request may then hold that much memory before anyone is authenticated.",
    ]


def room_for(size: int | None) -> int:
    """A limit for bodies of ``size`` bytes: the next whole MiB, at least the 10 MiB that ActiveSync ships with."""
    return max(10 * MEBIBYTE, (-(-(size or 0) // MEBIBYTE)) * MEBIBYTE)


def raise_other_limit(site: Site, size: int | None) -> list[str]:
    """Find and raise the limit that is not the read-ahead."""
    wanted = room_for(size)
    filtering = (
        f"IIS 7 and later, request filtering: {APPCMD} {SYNC_DIRECTORY} -section:requestFiltering "
        f"/requestLimits.maxAllowedContentLength:{wanted}   (bytes; {FILTERING_DEFAULT:,} as shipped, above it 404.13)"
    )
    proxy = proxy_name(site.software)
    first = (
        [f"{proxy} answers here: raise its limit for request bodies (nginx: client_max_body_size)."] if proxy else []
    )
    return [
        *first,
        (
            f"IIS 7 and later, where maxRequestEntityAllowed was lowered: {APPCMD} {SYNC_DIRECTORY} "
            f"-section:system.webServer/serverRuntime /maxRequestEntityAllowed:{wanted} /commit:apphost   (bytes; not "
            "limited as shipped)"
        ),
        *([filtering] if wanted > FILTERING_DEFAULT else []),
        (
            "Exchange: httpRuntime maxRequestLength (in KB, 10240 as shipped) in both Sync web.config files, front end "
            "and back end; then restart the application pools."
        ),
        "Gateways and reverse proxies in front (TMG, UAG, nginx, load balancers) have body limits of their own.",
        "Beware: a mail grows by a third in base64: allow for it when choosing a limit.",
    ]


def allow_renegotiation() -> list[str]:
    """Make client and server able to renegotiate, for where the first handshake cannot ask."""
    return [
        (
            "Or make both ends able to renegotiate securely (RFC 5746; Windows: MS10-049, KB 980436): update the "
            "client, and look at "
            r"DisableRenegoOnServer and AllowInsecureRenegoClients under HKLM\SYSTEM\CurrentControlSet\Control"
            r"\SecurityProviders\SCHANNEL   (after a restart)"
        ),
        "Beware: AllowInsecureRenegoClients=0 shuts out clients without RFC 5746 altogether.",
    ]


def begun_by_client() -> list[str]:
    """The client renegotiates of its own accord, which no server has to accept (RFC 5246 section 7.4.1.2)."""
    return [
        "Find out what makes the client renegotiate (a test tool, its own time or volume limit), and switch that off.",
        "The server may refuse it, and many do so as a protection: it needs no change.",
    ]


def supply_certificate() -> list[str]:
    """The client has none to give."""
    return [
        "On the device: install a client certificate with its private key, and choose it for the ActiveSync account.",
        (
            "On the server: the certificate's issuer must be among the authorities that the server names in its "
            "request; Windows sends "
            "the Trusted Root store, and a list that is too long is cut."
        ),
        (
            f"If a password suffices: {APPCMD} {SYNC_DIRECTORY} -section:access "
            '/sslFlags:"Ssl, SslNegotiateCert" /commit:apphost   '
            "(accept instead of require, new requests; Apache: SSLVerifyClient optional)"
        ),
        "Beware: then the certificate no longer protects the mailbox.",
    ]


def mend_certificate(alert: str | None) -> list[str]:
    """The client's certificate was not liked; ``alert`` is the name of the TLS alert, None for a 403."""
    by_alert = {
        "certificate_expired": "Renew the client certificate; compare the clocks of device and server.",
        "certificate_revoked": "Issue a new client certificate; look whether it was revoked on purpose.",
        "unknown_ca": "Install the issuing authority on the server (Trusted Root or intermediate store, NTAuth).",
        "decrypt_error": "The client's signature does not fit its certificate: install key and certificate anew.",
        "unsupported_certificate": "Issue a client certificate whose key type and signature the server takes.",
    }
    return [
        *([by_alert[alert]] if alert in by_alert else []),
        (
            "Read the sub-status in the W3C log: 403.7 none given, 403.13 revoked or list out of reach, 403.16 "
            "untrusted, 403.17 expired."
        ),
        (
            "Check validity, the chain up to a trusted root, the NTAuth store, and that the server can fetch the "
            "revocation list."
        ),
    ]


def watch_abandoned() -> list[str]:
    """A command that somebody gave up."""
    return [
        (
            "If the age is the same each time: a timeout of the client, a firewall or a load balancer; raise idle "
            "timeouts above the "
            "heartbeat (30 minutes)."
        ),
        (
            "If the server was late: look at time-taken in the W3C log (sc-win32-status 64, 995 or 1236 mark these "
            "requests)."
        ),
        (
            "If the server closed: HTTPERR says why (Connection_Abandoned_By_AppPool, Timer_EntityBody, "
            "Connection_Dropped)."
        ),
    ]


def _iis_binding(site: Site) -> list[str]:
    """The HTTP.sys binding of IIS 7 and later, and the metabase of IIS 6; first what fits the server that was seen."""
    by_address = f"ipport=0.0.0.0:{site.port}"
    by_name = f"hostnameport={site.name}:{site.port}" if site.name else by_address
    other = f"; {by_address} where the binding has no host name" if site.name else ""
    since = "IIS on Windows Server 2022 and later" if site.tls13 else "IIS 8 and later"
    update = (
        f"{since}: netsh http update sslcert {by_name} clientcertnegotiation=enable   (new connections at once{other})"
    )
    if site.tls13:
        return [update]
    again = (
        f"IIS 7, 7.5, and where netsh knows no update: netsh http show sslcert {by_address}, note hash and appid; "
        f"netsh http delete sslcert {by_address}; netsh http add sslcert {by_address} certhash=HASH appid={{GUID}} "
        "certstorename=MY clientcertnegotiation=enable   (the site is without TLS in between)"
    )
    metabase = (
        f"IIS 6: {ADSUTIL} w3svc/1/SSLAlwaysNegoClientCert true, {RESTART_IIS6}   (w3svc/1 is the first site, all "
        "of it)"
    )
    match iis_version(site):
        case 6:
            return [metabase, update, again]
        case 7:
            return [again, update, metabase]
        case _:
            return [update, again, metabase]


def _apache_virtual_host() -> list[str]:
    return ["Apache: move SSLVerifyClient from <Location>, <Directory> or <If> to the virtual host   (after a reload)"]
