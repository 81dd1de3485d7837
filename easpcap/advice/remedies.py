"""What to change, for each kind of fault: the remedies for all products, those for the server that was seen first.

Facts come from the documentation that each remedy names. Renderers word the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import apache, iis
from easpcap.advice.phrases import ANSWERED, ASK_FIRST, ASKED_FIRST
from easpcap.advice.site import is_apache, proxy_name
from easpcap.results import Remedy

if TYPE_CHECKING:
    from easpcap.advice.site import Site

READ_AHEAD_DEFAULT = iis.READ_AHEAD_DEFAULT
APACHE_BUFFER_DEFAULT = apache.BUFFER_DEFAULT
MEBIBYTE = 2**20
KIBIBYTE = 2**10

_EXCHANGE_LIMITS = "https://technet.microsoft.com/en-us/library/hh529949(v=exchg.80).aspx"
_HTTPERR = "https://learn.microsoft.com/troubleshoot/developer/webapps/aspnet/site-behavior-performance/error-logging-http-apis"
_SUB_STATUS = (
    "https://learn.microsoft.com/troubleshoot/developer/webapps/iis/health-diagnostic-performance/http-status-code"
)
_NEXT_HANDSHAKE = "for new connections"
_PRESENTED = "A new capture shows a certificate in the client's Certificate message."


def ask_in_first_handshake(site: Site, *others: Remedy) -> list[Remedy]:
    """Ask for the client certificate in the first handshake, so that no request is interrupted for it.

    ``others`` cure the same fault; they come before what is for servers that are seldom met.
    """
    return [*_where_it_is_asked(site), *others, *_ELSEWHERE]


def _where_it_is_asked(site: Site) -> list[Remedy]:
    return _for_site(site, iis.ask_in_first_handshake(site), [apache.ask_in_first_handshake()])


def _for_site(site: Site, windows: list[Remedy], other: list[Remedy]) -> list[Remedy]:
    """The remedies for Apache first where Apache was seen."""
    return [*other, *windows] if is_apache(site) else [*windows, *other]


_ELSEWHERE = (
    Remedy(
        ASK_FIRST,
        where="ASP.NET Core with Kestrel",
        notes=("Use ClientCertificateMode.AllowCertificate or RequireCertificate, not DelayCertificate.",),
        takes_effect="when the application is deployed again",
        source="https://github.com/dotnet/AspNetCore.Docs/pull/23226",
        verify=(ASKED_FIRST,),
        undo=("Set the mode from before.",),
    ),
    Remedy(
        "Have the client send Expect: 100-continue, or a small request first",
        where="Azure App Service",
        notes=("The server's side cannot be changed.",),
        takes_effect="when the client does so",
        source="https://blogs.msdn.microsoft.com/waws/2017/04/03/"
        "posting-a-large-file-can-fail-if-you-enable-client-certificates/",
        verify=("A new capture shows Expect: 100-continue in the request, or a small request before it.",),
    ),
)


def ask_early_or_without_tls13(site: Site) -> list[Remedy]:
    """Ask in the first handshake, or switch TLS 1.3 off: there a server asks later only if the client offers it."""
    return [
        *_where_it_is_asked(site),
        *_for_site(site, [iis.without_tls13(site)], [apache.without_tls13()]),
        *_ELSEWHERE,
    ]


def raise_read_ahead(site: Site, size: int | None) -> list[Remedy]:
    """Let the server read a body of ``size`` bytes before it asks; helps until a larger mail comes."""
    wanted = room_for(size)
    return _for_site(site, iis.raise_read_ahead(site, wanted), [apache.raise_read_ahead(wanted)])


def room_for(size: int | None) -> int:
    """A limit for bodies of ``size`` bytes: the next whole MiB, at least the 10 MiB that ActiveSync ships with."""
    return max(10 * MEBIBYTE, (-(-(size or 0) // MEBIBYTE)) * MEBIBYTE)


def raise_other_limit(site: Site, size: int | None) -> list[Remedy]:
    """Find and raise the limit that is not the read-ahead."""
    wanted = room_for(size)
    if is_apache(site):
        return [apache.raise_read_ahead(wanted), apache.raise_body_limit(wanted), _gateway_limit()]
    proxy = proxy_name(site.software)
    entity, exchange = [iis.unlimited_entity(), *iis.raise_filtering(wanted)], [_exchange_limit(wanted)]
    above_exchange = (size or 0) > 10 * MEBIBYTE  # as shipped
    return [
        *([_proxy_limit(proxy, wanted)] if proxy else []),
        *(exchange + entity if above_exchange else entity + exchange),
        _gateway_limit(),
    ]


_BASE64 = "A mail grows by a third in base64: allow for that when you choose a limit."


def _proxy_limit(proxy: str, wanted: int) -> Remedy:
    action, effect = "Raise the limit for request bodies of the proxy that answers here", "after a reload"
    if proxy not in {"nginx", "openresty"}:
        return Remedy(
            action,
            where=proxy,
            takes_effect=effect,
            source=f"the documentation of {proxy}",
            verify=(ANSWERED,),
            beware=(_BASE64,),
        )
    return Remedy(
        action,
        where=proxy,
        takes_effect=effect,
        source="https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size",
        shell="nginx-configuration",
        commands=(f"client_max_body_size {wanted // MEBIBYTE}m;",),
        notes=("The default is 1 MB.",),
        verify=("nginx -t", ANSWERED),
        undo=("Set the value from before (1m as shipped).",),
        beware=(_BASE64,),
    )


def _exchange_limit(wanted: int) -> Remedy:
    return Remedy(
        "Raise httpRuntime maxRequestLength in both Sync web.config files (FrontEnd\\HttpProxy\\Sync and "
        "ClientAccess\\Sync)",
        where="Exchange",
        takes_effect="after a restart of the application pools",
        source=_EXCHANGE_LIMITS,
        shell="web.config",
        commands=(f'maxRequestLength="{wanted // KIBIBYTE}"',),
        notes=("In KB; 10240 as Exchange ships it. Keep a value that is already larger.",),
        verify=(ANSWERED,),
        undo=("Set the values from before (10240 as Exchange ships it).",),
        beware=(_BASE64,),
    )


def _gateway_limit() -> Remedy:
    return Remedy(
        "Look at the limits for request bodies of every gateway on the way",
        where="Gateways and reverse proxies in front (TMG, UAG, nginx, load balancers)",
        takes_effect="as its documentation says",
        source="https://blogs.technet.microsoft.com/edgeaccessblog/2009/05/12/how-to-configure-active-synch-trunk-for-"
        "non-windows-mobile-phones-sending-out-large-email-attachments/",
        verify=(ANSWERED,),
        beware=(_BASE64,),
    )


def free_waiting_threads(site: Site) -> list[Remedy]:
    """What helps for a while after a deadlock; nothing for Apache, which has no application pools."""
    if is_apache(site):
        return []
    return [
        Remedy(
            "Recycle the application pool of ActiveSync (MSExchangeSyncAppPool on Exchange), which ends the requests "
            "that wait",
            where="IIS 6 and later",
            takes_effect="until the next deadlock",
            source="https://multiplechoicesystemengineer.wordpress.com/2010/11/16/"
            "microsoft-server-activesync-iphone-and-client-certificates-issues/",
            verify=("Requests of other devices are answered again.",),
            beware=("More threads only delay the next deadlock.",),
            documented=False,
            stop_gap=True,
        )
    ]


def allow_renegotiation(site: Site) -> list[Remedy]:
    """Make client and server able to renegotiate, for where the first handshake cannot ask; not for Apache."""
    return [] if is_apache(site) else [iis.allow_renegotiation()]


def begun_by_client() -> list[Remedy]:
    """The client renegotiates on its own initiative, which no server has to accept (RFC 5246 section 7.4.1.2)."""
    return [
        Remedy(
            "Find out what makes the client renegotiate (a test tool, or a limit of time or volume), and switch that "
            "off",
            where="Client",
            takes_effect=_NEXT_HANDSHAKE,
            source="RFC 5246 section 7.4.1.2",
            notes=("The server may refuse, and many servers do, to protect themselves: it needs no change.",),
            verify=("A new capture shows one handshake for each connection.",),
        )
    ]


def supply_certificate(site: Site) -> list[Remedy]:
    """The client has none to give."""
    return [
        Remedy(
            "Install a client certificate with its private key, and choose it for the ActiveSync account",
            where="Device",
            takes_effect=_NEXT_HANDSHAKE,
            source="RFC 5246 section 7.4.6",
            verify=(_PRESENTED,),
        ),
        Remedy(
            "If the CertificateRequest lists authorities, make sure that the certificate's issuer is among them",
            where="Server",
            takes_effect=_NEXT_HANDSHAKE,
            source="RFC 5246 section 7.4.4",
            notes=("An empty list lets the client choose any certificate.",),
            verify=(_PRESENTED,),
        ),
        *_for_site(site, [iis.accept_instead_of_require()], [apache.accept_instead_of_require()]),
    ]


#: What to do about an alert that says what is wrong with the certificate, by its name.
_BY_ALERT = {
    "certificate_expired": ("Client certificate", "Renew it, and compare the clocks of device and server"),
    "certificate_revoked": ("Client certificate", "Issue a new one, and find out whether it was revoked on purpose"),
    "unknown_ca": ("Server", "Install its issuer: a root in the Trusted Root store, others in the intermediate store"),
    "decrypt_error": (
        "Device",
        "Install key and certificate again: the client's signature does not fit its certificate",
    ),
    "unsupported_certificate": ("Client certificate", "Issue one with a key type and signature that the server takes"),
}


def mend_certificate(alert: str | None) -> list[Remedy]:
    """The server rejected the client's certificate; ``alert`` is the name of the TLS alert, None for a 403."""
    let_in = ("A new capture shows no alert after the client's Certificate, and the request is answered.",)
    found = []
    if alert in _BY_ALERT:
        where, action = _BY_ALERT[alert]
        found.append(Remedy(action, where, f"RFC 5246 section 7.2.2: {alert}", _NEXT_HANDSHAKE, verify=let_in))
    return [
        *found,
        _sub_status() if alert is None else _server_log(),
        Remedy(
            "Check the certificate's validity, its chain up to a trusted root, the NTAuth store, and that the server "
            "can fetch the revocation list",
            where="Server",
            takes_effect=_NEXT_HANDSHAKE,
            source=_SUB_STATUS,
            verify=let_in,
        ),
    ]


def _sub_status() -> Remedy:
    return Remedy(
        "Read the sub-status in the W3C log: 403.7 none given, 403.13 revoked or revocation list out of reach, "
        "403.16 untrusted, 403.17 expired or not yet valid",
        where="IIS",
        source=_SUB_STATUS,
        verify=("The log has a line with that status for the refused request.",),
    )


def _server_log() -> Remedy:
    """An alert ends the handshake before there is a status to log."""
    return Remedy(
        "Read why the server sent the alert: event 36888 of Schannel in the System log (Windows), or the error log "
        "(Apache)",
        where="Server",
        source="https://learn.microsoft.com/windows/win32/secauthn/schannel-error-codes-for-tls-and-ssl-alerts",
        verify=("The log has an entry at the time of the alert.",),
        documented=False,
    )


def watch_abandoned() -> list[Remedy]:
    """A command that one side abandoned: where to look next."""
    return [
        Remedy(
            "If it happens after the same time each time, suspect a timeout in the client, a firewall or a load "
            "balancer: raise idle timeouts above the ActiveSync heartbeat (to 30 minutes)",
            where="Client, firewall, load balancer",
            takes_effect=_NEXT_HANDSHAKE,
            source="https://mskb.pkisolutions.com/kb/905013",
            verify=("A new capture shows the command answered, and a Ping that lasts its whole heartbeat.",),
            undo=("Set the timeouts from before.",),
        ),
        Remedy(
            "If the server was late, look at time-taken in the W3C log (sc-win32-status 64, 995 or 1236 mark these "
            "requests)",
            where="IIS",
            source=_HTTPERR,
            verify=("The log has a line for this request.",),
        ),
        Remedy(
            "If the server closed, read the reason in HTTPERR (such as Connection_Abandoned_By_ReqQueue, on Windows "
            "Server 2003 ..._By_AppPool; Timer_EntityBody; Timer_SslRenegotiation)",
            where="IIS",
            source=_HTTPERR,
            verify=("The log has a line for this connection's client port.",),
        ),
    ]
