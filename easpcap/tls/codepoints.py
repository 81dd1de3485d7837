"""Numbers of the TLS protocol that several modules need, from the IANA registries and the RFCs named below."""

from __future__ import annotations

from typing import Final

# -- versions (RFC 8446 section 4.1.2 and its predecessors; SSL 2.0: see below) ----------------------------------------

SSL2: Final = 0x0002
SSL3: Final = 0x0300
TLS10: Final = 0x0301
TLS11: Final = 0x0302
TLS12: Final = 0x0303
TLS13: Final = 0x0304

# -- records -----------------------------------------------------------------------------------------------------------

#: Content types (RFC 8446 section 5.1; heartbeat: RFC 6520).
CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
HEARTBEAT: Final = 24

#: Bytes of a record header: content type, version, length of the fragment (RFC 5246 section 6.2.1).
RECORD_HEADER_SIZE: Final = 5

#: The longest fragment a record may have: 2^14 bytes of plaintext and 2048 of protection (RFC 5246 section 6.2.3).
MAX_FRAGMENT: Final = 2**14 + 2048

# -- handshake messages ------------------------------------------------------------------------------------------------

#: Bytes of a message header: type and length (RFC 5246 section 7.4).
MESSAGE_HEADER_SIZE: Final = 4

HELLO_REQUEST: Final = 0
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
NEW_SESSION_TICKET: Final = 4
END_OF_EARLY_DATA: Final = 5
HELLO_RETRY_REQUEST: Final = 6  # a message type up to draft 21 of TLS 1.3, later a ServerHello
ENCRYPTED_EXTENSIONS: Final = 8
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14
CERTIFICATE_VERIFY: Final = 15
CLIENT_KEY_EXCHANGE: Final = 16
FINISHED: Final = 20
CERTIFICATE_STATUS: Final = 22
SUPPLEMENTAL_DATA: Final = 23
KEY_UPDATE: Final = 24
COMPRESSED_CERTIFICATE: Final = 25  # RFC 8879
NEXT_PROTOCOL: Final = 67
CHANNEL_ID: Final = 203

MESSAGE_NAMES: Final[dict[int, str]] = {
    HELLO_REQUEST: "HelloRequest",
    CLIENT_HELLO: "ClientHello",
    SERVER_HELLO: "ServerHello",
    NEW_SESSION_TICKET: "NewSessionTicket",
    END_OF_EARLY_DATA: "EndOfEarlyData",
    HELLO_RETRY_REQUEST: "HelloRetryRequest",
    ENCRYPTED_EXTENSIONS: "EncryptedExtensions",
    CERTIFICATE: "Certificate",
    SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    CERTIFICATE_REQUEST: "CertificateRequest",
    SERVER_HELLO_DONE: "ServerHelloDone",
    CERTIFICATE_VERIFY: "CertificateVerify",
    CLIENT_KEY_EXCHANGE: "ClientKeyExchange",
    FINISHED: "Finished",
    CERTIFICATE_STATUS: "CertificateStatus",
    SUPPLEMENTAL_DATA: "SupplementalData",
    KEY_UPDATE: "KeyUpdate",
    COMPRESSED_CERTIFICATE: "CompressedCertificate",
    NEXT_PROTOCOL: "NextProtocol",
    CHANNEL_ID: "ChannelID",
}

#: Messages that only TLS 1.3 has, where they are always encrypted (RFC 8446 section 4).
ALWAYS_ENCRYPTED: Final = frozenset({END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS, KEY_UPDATE, COMPRESSED_CERTIFICATE})

#: Messages of SSL 2.0, whose numbers differ from those of TLS (K. Hickman, "The SSL Protocol", 1995).
SSL2_CLIENT_HELLO: Final = 1
SSL2_CLIENT_MASTER_KEY: Final = 2
SSL2_SERVER_HELLO: Final = 4

# The numbers of alerts are in easpcap.facts, next to their names.
