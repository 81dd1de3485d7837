"""Texts that remedies for several products share."""

from __future__ import annotations

ASK_FIRST = "Ask for the client certificate in the first handshake"

#: For every remedy that makes a server ask each client in the first handshake.
EVERY_CLIENT_IS_ASKED = (
    "Every client of that binding is then asked for a certificate: browsers prompt for one, monitoring probes may "
    "fail, and Autodiscover of Outlook 2007 is reported to fail. Give ActiveSync a separate host name or address."
)
ASKED_FIRST = "A new capture shows the server's CertificateRequest in the first handshake."

#: For every raised limit.
ANSWERED = "The refused request is answered."

#: What switching TLS 1.3 off brings back.
LATE_AGAIN = (
    "Without TLS 1.3 the server asks for the certificate by renegotiation again, so uploads larger than its read-ahead "
    "limit may fail, and all its clients go back to TLS 1.2."
)

#: For every read-ahead that is raised.
HOLDS_MEMORY = "Each request may then hold that much memory before anyone is authenticated."

#: What it costs to accept a certificate instead of requiring it.
NOT_PROTECTED = "The certificate then no longer protects the mailbox."


def read_more(wanted: int) -> str:
    """The action of a raised read-ahead."""
    return f"Let the server read up to {wanted:,} body bytes before it asks"
