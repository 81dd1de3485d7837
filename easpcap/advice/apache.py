"""Remedies for Apache httpd with mod_ssl, as values."""

from __future__ import annotations

from easpcap.advice import phrases
from easpcap.results import Remedy

BUFFER_DEFAULT = 131_072  # SSLRenegBufferSize, bytes

_MOD_SSL = "https://httpd.apache.org/docs/2.4/mod/mod_ssl.html"
_CONFIGURATION = "apache-configuration"
_STRICTER = (
    "A stricter SSLVerifyClient, SSLVerifyDepth or SSLCipherSuite that stays in a <Location> or <Directory> still "
    "makes Apache renegotiate."
)
#: SSLVerifyClient require refuses the handshake of a client without a certificate, whatever it asks for.
_OTHERS_REFUSED = (
    'With "require", clients without a certificate can open no page of the virtual host. To require it for one path: '
    '"SSLVerifyClient optional" in the virtual host, and "Require ssl-verify-client" in the <Location> in place of '
    "SSLVerifyClient (Apache 2.4)."
)
_RELOAD = "after a reload"
_CHECKED = "apachectl configtest"


def ask_in_first_handshake() -> Remedy:
    """SSLVerifyClient for the whole virtual host."""
    return Remedy(
        phrases.ASK_FIRST,
        where="Apache (virtual host)",
        takes_effect=_RELOAD,
        source=_MOD_SSL,
        shell=_CONFIGURATION,
        commands=("SSLVerifyClient require",),
        notes=(
            "Move the directive, with the value that it has, from <Location>, <Directory> or <If> to the virtual host.",
            _STRICTER,
        ),
        verify=(_CHECKED, phrases.ASKED_FIRST),
        undo=("Move the directive back.",),
        beware=(_OTHERS_REFUSED, phrases.EVERY_CLIENT_IS_ASKED),
    )


def without_tls13() -> Remedy:
    """No TLS 1.3 in the virtual host, so that the server can renegotiate again."""
    return Remedy(
        "Switch TLS 1.3 off",
        where="Apache (virtual host)",
        takes_effect="after a restart",
        source=_MOD_SSL,
        shell=_CONFIGURATION,
        commands=("SSLProtocol all -TLSv1.3",),
        notes=('Add -TLSv1.3 to the SSLProtocol that is there: "all" alone may switch TLS 1.0 and 1.1 on again.',),
        verify=(_CHECKED, "A new capture shows TLS 1.2."),
        undo=("Write the directive from before.",),
        beware=(phrases.LATE_AGAIN,),
        stop_gap=True,
    )


def raise_read_ahead(wanted: int) -> Remedy:
    """Read ``wanted`` bytes of a body before asking."""
    return Remedy(
        phrases.read_more(wanted),
        where="Apache (beside SSLVerifyClient)",
        takes_effect=_RELOAD,
        source=f"{_MOD_SSL}#sslrenegbuffersize",
        shell=_CONFIGURATION,
        commands=(f"SSLRenegBufferSize {wanted}",),
        notes=(f"In bytes; {BUFFER_DEFAULT} as shipped.",),
        verify=(_CHECKED, phrases.ANSWERED),
        undo=("Write the value from before, or remove the directive.",),
        beware=(phrases.HOLDS_MEMORY,),
    )


def raise_body_limit(wanted: int) -> Remedy:
    """The limit that is not about certificates. There is nothing to type: its default differs between releases."""
    return Remedy(
        f"Look for LimitRequestBody, and raise a value below {wanted:,} bytes",
        where="Apache",
        takes_effect=_RELOAD,
        source="https://httpd.apache.org/docs/2.4/mod/core.html#limitrequestbody",
        verify=(_CHECKED, phrases.ANSWERED),
        undo=("Write the value from before.",),
    )


def accept_instead_of_require() -> Remedy:
    """Let clients in that have a password and no certificate."""
    return Remedy(
        "If a password is enough, accept a certificate instead of requiring it",
        where="Apache",
        takes_effect=_RELOAD,
        source=_MOD_SSL,
        shell=_CONFIGURATION,
        commands=("SSLVerifyClient optional",),
        verify=(_CHECKED, "A request without a certificate is answered."),
        undo=("SSLVerifyClient require",),
        beware=(phrases.NOT_PROTECTED,),
    )
