"""For each reason of a verdict, the next step towards a decrypted capture, and how to take it on which server.

docs/keys.md is the long form, with side effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from easpcap.tls.handshake.verdict import Reason

#: In commands, in place of the thumbprint where no certificate was seen, or more than one.
PLACEHOLDER: Final = "THUMBPRINT"


class How(NamedTuple):
    """How to take a step in one place; ``commands`` are copied whole."""

    where: str
    commands: tuple[str, ...] = ()


class Step(NamedTuple):
    """What to do next, and how: one entry per kind of server or client."""

    what: str
    how: tuple[How, ...] = ()


_EXPORT: Final = (
    How(
        "IIS, Exchange, in an elevated command prompt (certutil asks for a password for the file, and fails if the key "
        "is marked as not exportable):",
        ("certutil -exportPFX My THUMBPRINT server.pfx",),
    ),
    How("Apache: use the file that SSLCertificateKeyFile names; nginx: the file that ssl_certificate_key names"),
)
_KEY_LOG: Final = (
    How("Browsers, curl: set the environment variable SSLKEYLOGFILE to a file name, start the program, then capture"),
)
_RSA_ONLY: Final = (
    How(
        "IIS, Exchange: set the group policy SSL Cipher Suite Order to suites that begin with TLS_RSA_WITH (such as "
        "TLS_RSA_WITH_AES_128_CBC_SHA) and restart the computer; set it back after the capture"
    ),
    How(
        "Apache, then reload; clients that support only other suites cannot connect during that time:",
        ("SSLProtocol -all +TLSv1.2", "SSLCipherSuite kRSA"),
    ),
    How("nginx, then reload; the same applies:", ("ssl_protocols TLSv1.2;", "ssl_ciphers kRSA;")),
)
_CAPTURE_ON_SERVER: Final = (
    How(
        "Windows:",
        (
            "pktmon start --capture --comp nics --pkt-size 0 --file-name trace.etl",
            "pktmon stop",
            "pktmon etl2pcap trace.etl --out trace.pcapng",
        ),
    ),
    How("Linux:", ("tcpdump -i any -s 0 -B 65536 -w trace.pcap port 443",)),
)
_NO_RESUMPTION: Final = (
    How("Apache, then restart:", ("SSLSessionCache none", "SSLSessionTickets off")),
    How("nginx, then reload:", ("ssl_session_cache off;", "ssl_session_tickets off;")),
    How("IIS, Exchange: restart the client device; it then forgets its sessions"),
)
_WHICH_IS_BOUND: Final = How(
    "IIS, Exchange: compare the Certificate Hash bound to this address and port with the thumbprint above; they must "
    "be the same:",
    ("netsh http show sslcert",),
)

STEPS: Final[dict[Reason, Step]] = {
    "no-key": Step(
        "Give the private key of the certificate above with --key; a key log from the client (--key-log) will also do.",
        _EXPORT,
    ),
    "key-mismatch": Step(
        "Export the key of the certificate above. Compare thumbprints to be sure that it is not the key of an older or "
        "another certificate (a renewed certificate usually has a new key).",
        (_WHICH_IS_BOUND, *_EXPORT),
    ),
    "forward-secrecy": Step(
        "Capture again with a key log from the client. If the client cannot write one (phones), allow only RSA key "
        "exchange on the server while you capture.",
        _KEY_LOG + _RSA_ONLY,
    ),
    "needs-key-log": Step(
        "Capture again with a key log from the client. If the client cannot write one (phones), allow only TLS 1.2 "
        "with RSA key exchange on the server while you capture.",
        _KEY_LOG + _RSA_ONLY,
    ),
    "key-log-lacks-session": Step(
        "Take the key log of the program whose traffic this is, over the whole time of the capture, and copy it after "
        "the capture has ended. If the key exchange is RSA, the server's private key (--key) will also do.",
        _KEY_LOG,
    ),
    "resumed-session-not-captured": Step(
        "Add the capture that holds the first handshake (give all captures in one call), or turn resumption off and "
        "capture again, starting before the client's first connection.",
        _NO_RESUMPTION,
    ),
    "handshake-not-captured": Step(
        "Start the capture first, then make the client reconnect: restart its program, or switch the phone to flight "
        "mode and back."
    ),
    "one-direction-missing": Step(
        "Capture where both directions pass, ideally on the server itself.", _CAPTURE_ON_SERVER
    ),
    "gap": Step("Capture again without losing packets, ideally on the server itself.", _CAPTURE_ON_SERVER),
    "truncated-packets": Step("Capture again with whole packets.", _CAPTURE_ON_SERVER),
    "unsupported-suite": Step(
        "Capture again with a cipher suite that easpcap can decrypt, such as TLS_RSA_WITH_AES_128_CBC_SHA.", _RSA_ONLY
    ),
    "mac-failure": Step(
        "First check that the keys are those of this server, and that the key log covers these connections. If so, the "
        "captured bytes are damaged: capture again, ideally on the server itself.",
        _CAPTURE_ON_SERVER,
    ),
}


def next_step(reason: Reason, thumbprint: str | None) -> Step:
    """The step for a reason, with the thumbprint of the server's certificate in its commands where it is known."""
    step = STEPS[reason]
    if thumbprint is None:
        return step
    how = (How(h.where, tuple(command.replace(PLACEHOLDER, thumbprint) for command in h.commands)) for h in step.how)
    return Step(step.what, tuple(how))
