"""Remedies for IIS and other applications of HTTP.sys, as values.

Sources: the documentation named in each remedy. "Reported" marks what no public documentation confirms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.advice import phrases
from easpcap.advice.site import iis_version
from easpcap.results import Remedy

if TYPE_CHECKING:
    from easpcap.advice.site import Site

READ_AHEAD_DEFAULT = 49_152  # uploadReadAheadSize, bytes
READ_AHEAD_MOST = 2**31 - 1  # the same, the greatest value that IIS 7 and later take
READ_AHEAD_MOST_IIS6 = 2**32 - 1
FILTERING_DEFAULT = 30_000_000  # requestLimits maxAllowedContentLength, bytes
FILTERING_MOST = 2**32 - 1

NEW_CONNECTIONS = "for new connections at once"
NEW_REQUESTS = "for new requests at once"

_ADSUTIL = r"cscript %SystemDrive%\Inetpub\AdminScripts\adsutil.vbs"
_APPCMD = r"%windir%\system32\inetsrv\appcmd.exe"
_SYNC_DIRECTORY = '"Default Web Site/Microsoft-Server-ActiveSync"'
_RUNTIME = "-section:system.webServer/serverRuntime"
_RESTART_IIS6 = ("net stop iisadmin /y", "net start w3svc")
_AFTER_RESTART = "after a restart of the IIS Admin service, as reported; iisreset is reported not to be enough"
_RESTART_STOPS = (
    "net stop iisadmin /y also stops the services that depend on IIS Admin and lists them: start again each one that "
    "ran before."
)
_FIRST_SITE = "w3svc/1 is the first site: write the number of yours. The setting applies to the whole site."
_DIRECTORY = 'Replace "Default Web Site" if the site has another name.'

_ADD_SSLCERT = "https://learn.microsoft.com/windows/win32/http/add-sslcert"
#: That "update sslcert" exists, and that the documentation does not mention it. Its parameters are those of "add".
_UPDATE_SSLCERT = "https://github.com/MicrosoftDocs/windowsserverdocs/issues/4791"
_ALWAYS_NEGOTIATE = "https://learn.microsoft.com/en-us/previous-versions/iis/6.0-sdk/ms525641(v=vs.90)"
_READ_AHEAD_IIS6 = "https://learn.microsoft.com/en-us/previous-versions/iis/6.0-sdk/ms525310(v=vs.90)"
_SERVER_RUNTIME = "https://learn.microsoft.com/en-us/iis/configuration/system.webserver/serverruntime"
_HTTP_STATUS = (
    "https://learn.microsoft.com/troubleshoot/developer/webapps/iis/health-diagnostic-performance/http-status-code"
)
_ACCESS = "https://learn.microsoft.com/en-us/iis/configuration/system.webserver/security/access"
_TLS13 = (
    "https://techcommunity.microsoft.com/t5/iis-support-blog/"
    "addressing-tls-1-3-compatibility-issues-in-iis-express-on/ba-p/4449362"
)

_CERTIFICATE = "certhash=HASH appid={GUID} certstorename=MY"

#: "show sslcert" prints these; a binding that is written again must have them again.
_KEEP_SETTINGS = (
    "Replace HASH, {GUID} and MY with the Certificate Hash, Application ID and Certificate Store Name that show "
    "prints, and repeat its other settings: what is left out may fall back to its default."
)
_SAVE_FIRST = (
    "Save what show prints before you delete. If it finds no binding, stop: netsh http show sslcert lists all bindings."
)
_NEGOTIATES = '"netsh http show sslcert" prints "Negotiate Client Certificate : Enabled".'
_POWERSHELL = "In PowerShell, write appid='{GUID}' with the quotes."
_NO_UPDATE = (
    'Where netsh has no "update sslcert" (reported for Windows Server 2012 R2), use netsh http delete sslcert and '
    "netsh http add sslcert with the same parameters; HTTPS is down in between."
)


def ask_in_first_handshake(site: Site) -> list[Remedy]:
    """The HTTP.sys binding of IIS 7 and later and the metabase of IIS 6, what fits the server that was seen first."""
    update = _update_binding(site)
    if site.tls13:
        return [update]
    again, metabase = _recreate_binding(site), _always_negotiate()
    match iis_version(site):
        case 6:
            return [metabase, update, again]
        case 7 | 8:  # 8.5 is Windows Server 2012 R2, which is reported to have no "update sslcert"
            return [again, update, metabase]
        case _:
            return [update, again, metabase]


def _binding(site: Site) -> str:
    """The binding as netsh takes it: by the name that the client asked for, or else for all addresses."""
    return f"hostnameport={site.name}:{site.port}" if site.name else _by_address(site)


def _by_address(site: Site) -> str:
    return f"ipport=0.0.0.0:{site.port}"


def _naming(site: Site) -> tuple[str, ...]:
    if site.name is None:
        return ()
    return (f"If show lists the binding as IP:port, write {_by_address(site)} in place of {_binding(site)}.",)


def _update(site: Site, setting: str) -> tuple[str, ...]:
    return (
        "netsh http show sslcert",
        f"netsh http update sslcert {_binding(site)} {_CERTIFICATE} {setting}",
    )


_WITH_TLS13 = "IIS on Windows Server 2022 and later"


def _update_binding(site: Site) -> Remedy:
    since = _WITH_TLS13 if site.tls13 else "IIS 10 and HTTP.sys (Windows Server 2016 and later)"
    return Remedy(
        phrases.ASK_FIRST,
        where=since,
        takes_effect=NEW_CONNECTIONS,
        source=_UPDATE_SSLCERT,
        shell="cmd",
        commands=_update(site, "clientcertnegotiation=enable"),
        notes=(_KEEP_SETTINGS, *_naming(site), _POWERSHELL, *(() if site.tls13 else (_NO_UPDATE,))),
        verify=(_NEGOTIATES, phrases.ASKED_FIRST),
        undo=("The same update command with clientcertnegotiation=disable.",),
        beware=(phrases.EVERY_CLIENT_IS_ASKED, _RECREATED),
        documented=False,
    )


_RECREATED = "Re-creating the binding in IIS Manager resets clientcertnegotiation: set it again."


def _recreate_binding(site: Site) -> Remedy:
    binding = _by_address(site)
    return Remedy(
        phrases.ASK_FIRST,
        where="IIS 7 to 8.5 (Windows Server 2008 to 2012 R2)",
        takes_effect=NEW_CONNECTIONS,
        source=_ADD_SSLCERT,
        shell="cmd",
        commands=(
            f"netsh http show sslcert {binding}",
            f"netsh http delete sslcert {binding}",
            f"netsh http add sslcert {binding} {_CERTIFICATE} clientcertnegotiation=enable",
        ),
        notes=(_SAVE_FIRST, _KEEP_SETTINGS, _POWERSHELL),
        verify=(_NEGOTIATES, phrases.ASKED_FIRST),
        undo=("The same delete and add with clientcertnegotiation=disable.",),
        beware=("HTTPS is down between the delete and the add.", phrases.EVERY_CLIENT_IS_ASKED, _RECREATED),
    )


def _always_negotiate() -> Remedy:
    return Remedy(
        phrases.ASK_FIRST,
        where="IIS 6 (Windows Server 2003 SP1 and later)",
        takes_effect=_AFTER_RESTART,
        source=_ALWAYS_NEGOTIATE,
        shell="cmd",
        commands=(f"{_ADSUTIL} set w3svc/1/SSLAlwaysNegoClientCert true", *_RESTART_IIS6),
        notes=(_FIRST_SITE,),
        verify=(phrases.ASKED_FIRST,),
        undo=("The same commands with SSLAlwaysNegoClientCert false.",),
        beware=(phrases.EVERY_CLIENT_IS_ASKED, _RESTART_STOPS),
    )


def without_tls13(site: Site) -> Remedy:
    """No TLS 1.3 on the binding, so that the server can renegotiate again."""
    return Remedy(
        "Switch TLS 1.3 off",
        where=_WITH_TLS13,
        takes_effect=NEW_CONNECTIONS,
        source=_TLS13,
        shell="cmd",
        commands=_update(site, "disabletls13=enable"),
        notes=("IIS Manager has a check box for it in the binding.", _KEEP_SETTINGS, *_naming(site), _POWERSHELL),
        verify=("A new capture shows TLS 1.2.",),
        undo=("The same update command with disabletls13=disable.",),
        beware=(phrases.LATE_AGAIN,),
        documented=False,
        stop_gap=True,
    )


def raise_read_ahead(site: Site, wanted: int) -> list[Remedy]:
    """Read ``wanted`` bytes of a body before asking; nothing where IIS takes no such value."""
    found = []
    if wanted <= READ_AHEAD_MOST:
        found.append(_server_runtime(wanted))
    if wanted <= READ_AHEAD_MOST_IIS6 and not site.tls13:
        found.append(_metabase_read_ahead(wanted))
    return found[::-1] if iis_version(site) == 6 else found  # IIS 6 has no appcmd


_BYTES = (
    f"The unit is bytes, not KB, and {READ_AHEAD_DEFAULT} is already the default of IIS: setting that changes nothing."
)


def _server_runtime(wanted: int) -> Remedy:
    return Remedy(
        phrases.read_more(wanted),
        where="IIS 7 and later",
        takes_effect=NEW_REQUESTS,
        source=_SERVER_RUNTIME,
        shell="cmd",
        commands=(f"{_APPCMD} set config {_SYNC_DIRECTORY} {_RUNTIME} /uploadReadAheadSize:{wanted} /commit:apphost",),
        notes=(_DIRECTORY,),
        verify=(f"{_APPCMD} list config {_SYNC_DIRECTORY} {_RUNTIME}", phrases.ANSWERED),
        undo=(f"The same command with the value from before ({READ_AHEAD_DEFAULT} as shipped).",),
        beware=(_BYTES, phrases.HOLDS_MEMORY),
    )


def _metabase_read_ahead(wanted: int) -> Remedy:
    return Remedy(
        phrases.read_more(wanted),
        where="IIS 6",
        takes_effect=_AFTER_RESTART,
        source=_READ_AHEAD_IIS6,
        shell="cmd",
        commands=(f"{_ADSUTIL} set w3svc/1/uploadreadaheadsize {wanted}", *_RESTART_IIS6),
        notes=(_FIRST_SITE,),
        verify=(phrases.ANSWERED,),
        undo=(f"The same commands with the value from before ({READ_AHEAD_DEFAULT} as shipped).",),
        beware=(_BYTES, phrases.HOLDS_MEMORY, _RESTART_STOPS),
    )


def unlimited_entity() -> Remedy:
    """Put maxRequestEntityAllowed back; a size would lower the limit of a server that never set one."""
    no_limit = 2**32 - 1  # as shipped
    return Remedy(
        "Set maxRequestEntityAllowed back to what IIS ships with (no limit), if it was lowered",
        where="IIS 7 and later",
        takes_effect=NEW_REQUESTS,
        source=_SERVER_RUNTIME,
        shell="cmd",
        commands=(
            f"{_APPCMD} list config {_SYNC_DIRECTORY} {_RUNTIME}",
            f"{_APPCMD} set config {_SYNC_DIRECTORY} {_RUNTIME} /maxRequestEntityAllowed:{no_limit} /commit:apphost",
        ),
        notes=("If list prints no maxRequestEntityAllowed, there is no limit: change nothing.", _DIRECTORY),
        verify=(phrases.ANSWERED,),
        undo=("The same set command with the value that list printed before.",),
    )


def raise_filtering(wanted: int) -> list[Remedy]:
    """Raise request filtering, where ``wanted`` bytes are above what it lets through as shipped."""
    if not FILTERING_DEFAULT < wanted <= FILTERING_MOST:
        return []
    section = "-section:requestFiltering"
    return [
        Remedy(
            "Raise the limit of request filtering",
            where="IIS 7 and later",
            takes_effect=NEW_REQUESTS,
            source=_HTTP_STATUS,
            shell="cmd",
            commands=(
                f"{_APPCMD} set config {_SYNC_DIRECTORY} {section} /requestLimits.maxAllowedContentLength:{wanted}",
            ),
            notes=(
                f"In bytes; {FILTERING_DEFAULT:,} as shipped. It answers larger requests with 404.13, not 413.",
                _DIRECTORY,
            ),
            verify=(f"{_APPCMD} list config {_SYNC_DIRECTORY} {section}", phrases.ANSWERED),
            undo=(f"The same command with the value from before ({FILTERING_DEFAULT} as shipped).",),
        )
    ]


def accept_instead_of_require() -> Remedy:
    """Let clients in that have a password and no certificate."""
    access = f"config {_SYNC_DIRECTORY} -section:access"
    return Remedy(
        "If a password is enough, accept a certificate instead of requiring it",
        where="IIS 7 and later",
        takes_effect=NEW_REQUESTS,
        source=_ACCESS,
        shell="cmd",
        commands=(
            f"{_APPCMD} list {access}",
            f'{_APPCMD} set {access} /sslFlags:"Ssl, SslNegotiateCert" /commit:apphost',
        ),
        notes=("Keep any other flag that list prints, such as Ssl128 or SslMapCert.", _DIRECTORY),
        verify=("A request without a certificate is answered.",),
        undo=("The same set command with the flags that list printed before.",),
        beware=(phrases.NOT_PROTECTED,),
    )


def allow_renegotiation() -> Remedy:
    """Secure renegotiation on both ends, for where the first handshake cannot ask."""
    key = r'"HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\SCHANNEL"'
    return Remedy(
        "Make both ends able to renegotiate securely (RFC 5746): update the client, and see that DisableRenegoOnServer "
        "is not set",
        where="Windows Server",
        takes_effect="after a restart",
        source="http://support.microsoft.com/kb/980436",
        shell="cmd",
        commands=(f"reg query {key}",),
        notes=(
            "DisableRenegoOnServer with any value but 0 switches all renegotiation off (KB 977377).",
            "Windows Server 2008 R2 and before need MS10-049 (KB 980436).",
        ),
        verify=("A new capture shows the client's ClientHello after the server's HelloRequest.",),
        undo=("Set DisableRenegoOnServer to the value from before.",),
        beware=("AllowInsecureRenegoClients=0 shuts out clients without RFC 5746 altogether.",),
    )
