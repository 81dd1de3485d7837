"""Clear text that TLS follows: conversations written by hand from the documents named beside them."""

from __future__ import annotations

from easpcap.stream import TO_CLIENT, TO_SERVER

C, S = TO_SERVER, TO_CLIENT

#: Capabilities CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION; 16 MiB packets; utf8; filler.
_MYSQL_SSL_REQUEST = b"\x20\x00\x00\x01" + b"\x05\xae\x03\x00" + b"\x00\x00\x00\x01" + b"\x21" + bytes(23)
_MYSQL_GREETING = (
    b"\x4a\x00\x00\x00\x0a5.5.5-10.6.12\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\x21\x02\x00\xff\xff\x15".ljust(
        54, b"\0"
    )
    + b"abcdefghijkl\x00mysql_native"
)
_LDAP_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
_LDAP_ANSWER = bytes.fromhex("300c02010178070a010004000400")
_RDP_REQUEST = (
    bytes.fromhex("0300002c27e00000000000") + b"Cookie: mstshash=eltons\r\n" + bytes.fromhex("0100080003000000")
)

#: What TLS is said to come after, and what was said in the clear before it.
AGREED = {
    # RFC 3207 section 5
    "SMTP STARTTLS": [
        (S, b"220 mail.imc.org SMTP service ready\r\n"),
        (C, b"EHLO mail.example.com\r\n"),
        (S, b"250-mail.imc.org offers a warm hug of welcome\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 DSN\r\n"),
        (C, b"STARTTLS\r\n"),
        (S, b"220 Go ahead\r\n"),
    ],
    # RFC 9051 section 6.2.1
    "IMAP STARTTLS": [
        (S, b"* OK [CAPABILITY IMAP4rev2 STARTTLS LOGINDISABLED] ready\r\n"),
        (C, b"a001 CAPABILITY\r\n"),
        (S, b"* CAPABILITY IMAP4rev2 STARTTLS LOGINDISABLED\r\na001 OK CAPABILITY completed\r\n"),
        (C, b"a002 starttls\r\n"),
        (S, b"a002 OK Begin TLS negotiation now\r\n"),
    ],
    # RFC 2595 section 4
    "POP3 STLS": [(S, b"+OK POP3 ready\r\n"), (C, b"STLS\r\n"), (S, b"+OK Begin TLS negotiation\r\n")],
    # RFC 4642 section 2.2
    "NNTP STARTTLS": [(S, b"200 hi\r\n"), (C, b"STARTTLS\r\n"), (S, b"382 Continue with TLS negotiation\r\n")],
    # RFC 5804 section 2.2
    "ManageSieve STARTTLS": [
        (S, b'"STARTTLS"\r\nOK "Dovecot ready."\r\n'),
        (C, b"STARTTLS\r\n"),
        (S, b'OK "Begin TLS negotiation now."\r\n'),
    ],
    # RFC 4217 section 12
    "FTP AUTH TLS": [(S, b"220\r\n"), (C, b"AUTH TLS\r\n"), (S, b"234 AUTH TLS OK.\r\n")],
    # RFC 6120 section 9.1.1
    "XMPP STARTTLS": [
        (C, b"<stream:stream to='im.example.com' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"),
        (S, b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"),
        (C, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (S, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ],
    # RFC 4511 section 4.14
    "LDAP StartTLS": [(C, _LDAP_REQUEST), (S, _LDAP_ANSWER)],
    # PostgreSQL, Frontend/Backend Protocol, section SSL Session Encryption; a GSSENCRequest was refused before
    "PostgreSQL SSLRequest": [
        (C, bytes.fromhex("0000000804d21630")),
        (S, b"N"),
        (C, bytes.fromhex("0000000804d2162f")),
        (S, b"S"),
    ],
    # MySQL Internals, Protocol::SSLRequest: TLS follows the request at once
    "MySQL SSLRequest": [(S, _MYSQL_GREETING), (C, _MYSQL_SSL_REQUEST)],
    # [MS-RDPBCGR] sections 4.1.1 and 4.1.2, here with TLS offered and chosen
    "RDP negotiation": [(C, _RDP_REQUEST), (S, bytes.fromhex("030000130ed000001234000200080001000000"))],
    # RFC 1928: no authentication, CONNECT to 192.0.2.1:443
    "SOCKS5": [
        (C, bytes.fromhex("050100")),
        (S, bytes.fromhex("0500")),
        (C, bytes.fromhex("05010001c000020101bb")),
        (S, bytes.fromhex("050000010a0000011f90")),
    ],
    "SOCKS4": [(C, bytes.fromhex("040101bbc0000201") + b"user\x00"), (S, bytes.fromhex("005a000000000000"))],
    # RFC 9110 section 9.3.6
    "HTTP CONNECT": [
        (C, b"CONNECT mail.example.test:443 HTTP/1.1\r\nHost: mail.example.test:443\r\n\r\n"),
        (S, b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"),
    ],
    # RFC 2817 section 3.2
    "HTTP upgrade": [
        (C, b"OPTIONS * HTTP/1.1\r\nHost: example.test\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n"),
        (S, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n"),
    ],
    # nobody's protocol
    "clear text": [(S, b"\x00\x01who is there"), (C, b"\x00\x02it is me"), (S, b"\x00\x03then speak TLS")],
}  # fmt: skip
