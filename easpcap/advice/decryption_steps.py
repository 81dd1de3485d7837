"""For each reason of a verdict the one step that leads to a decrypted capture, and how it is done on which server.

The long form of this, with side effects, is docs/keys.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Stands for the thumbprint where the certificate is not known, or more than one is concerned.
PLACEHOLDER: Final = "THUMBPRINT"

#: Reasons that the right private key removes, and those that a key log removes; the others need another capture.
OPENED_BY_PRIVATE_KEY: Final = frozenset({"no-key", "key-mismatch"})
OPENED_BY_KEY_LOG: Final = frozenset({"forward-secrecy", "needs-key-log", "key-log-lacks-session"})


class How(NamedTuple):
    """How a step is done in one place; ``commands`` are to be copied as they stand."""

    where: str
    commands: tuple[str, ...] = ()


class Step(NamedTuple):
    """What to do next, and how: one entry for each kind of server or client."""

    what: str
    how: tuple[How, ...] = ()


_EXPORT: Final = (
    How(
        "IIS, Exchange, as administrator (it asks for a password for the file, and refuses where the key is marked as "
        "not exportable):",
        ("certutil -exportPFX My THUMBPRINT server.pfx",),
    ),
    How("Apache: the file that SSLCertificateKeyFile names; nginx: that of ssl_certificate_key"),
)
_KEY_LOG: Final = (
    How("Browsers, curl: set the environment variable SSLKEYLOGFILE to a file name, start the program, then capture"),
)
_RSA_ONLY: Final = (
    How(
        "IIS, Exchange: group policy SSL Cipher Suite Order with suites of TLS_RSA_WITH only (such as "
        "TLS_RSA_WITH_AES_128_CBC_SHA), then restart the computer; set it back afterwards"
    ),
    How(
        "Apache, then reload; clients that know only other suites cannot connect meanwhile:",
        ("SSLProtocol -all +TLSv1.2", "SSLCipherSuite kRSA"),
    ),
    How("nginx, likewise:", ("ssl_protocols TLSv1.2;", "ssl_ciphers kRSA;")),
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
    How("IIS, Exchange: restart the client device, which forgets its sessions"),
)
_WHICH_IS_BOUND: Final = How(
    "IIS, Exchange: the Certificate Hash that is bound to this address and port must be the thumbprint above:",
    ("netsh http show sslcert",),
)

STEPS: Final[dict[str, Step]] = {
    "no-key": Step(
        "Give the private key of the certificate above with --key; a key log of the client (--key-log) does as well.",
        _EXPORT,
    ),
    "key-mismatch": Step(
        "Export the key of the certificate above, not of an older or another one: its thumbprint "
        "tells them apart (a renewed certificate usually has a new key).",
        (_WHICH_IS_BOUND, *_EXPORT),
    ),
    "forward-secrecy": Step(
        "Capture again with a key log of the client; where the client cannot write one (phones), with only RSA key "
        "exchange allowed on the server for that time.",
        _KEY_LOG + _RSA_ONLY,
    ),
    "needs-key-log": Step(
        "Capture again with a key log of the client; where the client cannot write one (phones), with TLS 1.2 and RSA "
        "key exchange only on the server for that time.",
        _KEY_LOG + _RSA_ONLY,
    ),
    "key-log-lacks-session": Step(
        "Take the key log of the program whose traffic this is, over the whole time of the capture, and copy it after "
        "the capture has ended; where the key exchange is RSA, the server's private key (--key) opens it too.",
        _KEY_LOG,
    ),
    "resumed-session-not-captured": Step(
        "Add the capture that holds the first handshake (all captures in one call), or capture again from before the "
        "client's first connection on, without resumption.",
        _NO_RESUMPTION,
    ),
    "handshake-not-captured": Step(
        "Start the capture first, then make the client connect anew: restart its program, or switch the phone to "
        "flight mode and back."
    ),
    "one-direction-missing": Step("Capture where both directions pass, best on the server itself.", _CAPTURE_ON_SERVER),
    "gap": Step("Capture again without losing packets, best on the server itself.", _CAPTURE_ON_SERVER),
    "truncated-packets": Step("Capture again with whole packets.", _CAPTURE_ON_SERVER),
    "unsupported-suite": Step(
        "Capture again with a cipher suite that can be decrypted, such as TLS_RSA_WITH_AES_128_CBC_SHA.", _RSA_ONLY
    ),
    "mac-failure": Step(
        "Check the keys first: those of this very server, and a key log of these very connections. If they are right, "
        "the captured bytes are damaged: capture again, best on the server itself.",
        _CAPTURE_ON_SERVER,
    ),
}


def next_step(reason: str, thumbprint: str | None, detail: str | None) -> Step:
    """The step for a reason; ``detail`` of the verdict where this table does not know the reason."""
    step = STEPS.get(reason)
    if step is None:
        return Step(detail or reason)
    if thumbprint is None:
        return step
    how = (How(h.where, tuple(command.replace(PLACEHOLDER, thumbprint) for command in h.commands)) for h in step.how)
    return Step(step.what, tuple(how))
