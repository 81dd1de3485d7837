"""Every bound on memory and work, in one place. Hostile bytes must not fill memory."""

from __future__ import annotations

#: Bytes of capture that are decoded at a time. Larger windows give longer runs, smaller ones less memory.
WINDOW_BYTES = 8 * 2**20

#: Steps of a capture's clock that are kept.
MAX_CLOCK_STEPS = 1000

#: A captured packet may not claim more than this (pcap's own MAXIMUM_SNAPLEN is 262144; jumbo offloads reach 1 MiB).
MAX_PACKET_BYTES = 16 * 2**20

#: Headers before TCP that are read in one packet, and labels of one MPLS stack.
MAX_HEADERS = 32

#: Subframes of aggregated IEEE 802.11 frames (A-MSDU, at most 11,454 bytes long) that are read in one packet.
MAX_SUBFRAMES = 64

#: IP fragments held until their datagram is complete: bytes, datagrams, and how long they wait for the rest
#: (RFC 1122 section 3.3.2 has 60 to 120 seconds).
MAX_FRAGMENT_BYTES = 16 * 2**20
MAX_FRAGMENTED_DATAGRAMS = 4096
FRAGMENT_TIMEOUT_NS = 60 * 10**9

#: Connections quoted by ICMP errors, and not seen otherwise, that are remembered for their numbers.
MAX_QUOTED_CONNECTIONS = 65_536

#: How many times a compressed capture may expand, beyond a first amount (deflate reaches 1,032, real captures 300).
MAX_EXPANSION = 1100
MAX_FREELY_EXPANDED_BYTES = 256 * 2**20

#: Compressions around one capture: a compressed file that was compressed again.
MAX_COMPRESSIONS = 3

#: Memory that an xz decompressor may take (xz -9 needs 65 MiB), and the logarithm of zstd's largest window.
MAX_XZ_MEMORY = 256 * 2**20
MAX_ZSTD_WINDOW_LOG = 27

#: Bytes of a record within which damage is repaired; a record that claims more is not looked for.
MAX_LIKELY_PACKET_BYTES = 256 * 2**10

#: Damaged places of one capture after which reading goes on; beyond them the rest is not read.
MAX_DAMAGED_PLACES = 1000

#: Unusual records that are checked one by one; after so many the file was written that way.
MAX_CHECKED_RECORDS = 16

#: Frames of one Network Monitor file (its table holds four bytes for each).
MAX_NETMON_FRAMES = 16 * 2**20

#: Bytes of a Network Monitor capture that are held in memory where it comes through a pipe or is compressed.
MAX_NETMON_PIPE_BYTES = 512 * 2**20

#: Seconds after which tshark is stopped where it neither reads nor writes, and bytes of its messages that are kept.
MAX_TSHARK_SILENCE_S = 60
MAX_TSHARK_MESSAGES = 4096

#: Bytes of one direction that may wait out of order before the gap before them is declared.
MAX_OUT_OF_ORDER_BYTES = 4 * 2**20

#: Segments of one direction that may wait out of order (many tiny segments cost more than their bytes).
MAX_OUT_OF_ORDER_SEGMENTS = 8192

#: Bytes of each direction remembered after delivery, to compare repeated segments with.
MAX_REMEMBERED_BYTES = 1536

#: What the sender of a RST sent after it, kept until it is clear whether the RST counts.
MAX_PARKED_SEGMENTS = 256
MAX_PARKED_BYTES = 512 * 2**10

#: Repetitions kept of a SYN that may have been challenged.
MAX_HELD_SYNS = 8

#: Zeros that a driver may append to an empty segment to fill an Ethernet frame: 60 - 14 - 20 - 20 bytes.
MAX_PADDING_BYTES = 6

#: Segments beyond the receiver's window, kept in case that an acknowledgement shows that they were taken.
MAX_SEGMENTS_AHEAD = 256

#: A gap is declared when it has been acknowledged and this many further packets of the connection have passed.
GAP_PATIENCE_PACKETS = 64

#: Connections kept at once; above it those silent the longest are dropped, with ``closed_by`` "open".
MAX_LIVE_CONNECTIONS = 100_000

#: Flows of closed connections remembered, so that their late segments do not look like new connections.
MAX_CLOSED_FLOWS = 100_000

#: Dropped unanswered connections whose first frames are kept, because they count in the numbers of the others.
MAX_UNANSWERED_FRAMES = 2**20

#: A TLS handshake message (its length field allows 16 MiB; the largest real ones are certificate chains of some KiB).
MAX_HANDSHAKE_MESSAGE = 256 * 2**10

#: Sequence numbers tried after a gap before the rest of that direction counts as lost.
MAX_RESYNC_TRIES = 4096

#: Ciphertext bytes before a record that decrypting it after a gap may need: the chained IV and a MAC after it.
RESYNC_CONTEXT_BYTES = 64

#: Lost bytes over which an RC4 keystream is advanced; more takes seconds.
MAX_RESYNC_KEYSTREAM = 256 * 2**20

#: RSA-decrypted premaster secrets kept, so that a connection tried twice costs one decryption.
MAX_CACHED_PREMASTERS = 4096

#: A private key file, and a key log file (one line per connection, about 180 bytes).
MAX_KEY_FILE = 16 * 2**20
MAX_KEY_LOG = 256 * 2**20

#: Keys and certificates read in one file (the largest CA bundles have some hundred), and how often base64 is undone to
#: find them (a cluster stores the base64 of a file that may be base64 itself).
MAX_KEY_BLOCKS = 1000
MAX_BASE64_DEPTH = 3

#: Bits of an RSA key (OpenSSL's own limit for public keys): each decryption with a longer one takes seconds.
MAX_RSA_BITS = 16384

#: Rounds of hashing (PBKDF2 and its predecessors), and bytes that scrypt works through, which the passwords of one key
#: file may cost (about two seconds, in which Ctrl-C may have to wait), and those of all files (a minute). OpenSSL and
#: Windows use 2,000 rounds and 16 MiB, the careful 1,000,000 and 128 MiB.
MAX_KEY_ROUNDS = 5_000_000
MAX_KEY_SCRYPT_BYTES = 256 * 2**20
MAX_KEY_ROUNDS_OF_ALL_FILES = 100_000_000
MAX_KEY_SCRYPT_BYTES_OF_ALL_FILES = 8 * 2**30

#: ASN.1 elements of an encrypted key file that are read (a certificate has about 100).
MAX_KEY_ELEMENTS = 100_000

#: Files read in a folder that is given as a key.
MAX_KEY_FOLDER_FILES = 1000

#: Different secrets that key logs give for one label and identifier and that are tried, and those without an identifier
#: (an empty session id), which may belong to any connection. Later ones are dropped.
MAX_SECRETS_PER_IDENTIFIER = 16
MAX_SECRETS_WITHOUT_IDENTIFIER = 1000

#: Unusable key log lines that are reported; the rest are only counted.
MAX_KEY_LOG_COMPLAINTS = 100

#: An HTTP head (Apache allows about 100 header lines of 8190 bytes, IIS 16 KiB in all).
MAX_HTTP_HEAD = 128 * 2**10

#: The first line of a head, while it is not yet certain that this is HTTP.
MAX_HTTP_START_LINE = 16 * 2**10

#: Header lines kept of one head.
MAX_HTTP_FIELDS = 1000

#: Bytes of an error page that are searched for words that name its cause.
MAX_ERROR_PAGE = 32 * 2**10

#: Decoded bytes of one body (deflate expands up to 1,032 times), the largest piece passed to its sink, and the number
#: of codings of one body that are removed.
MAX_DECODED_BODY = 64 * 2**20
MAX_DECODED_PIECE = 64 * 2**10
MAX_BODY_CODINGS = 4

#: A chunk's first line with its extensions (RFC 9112 section 7.1.1 asks for a limit).
MAX_HTTP_CHUNK_LINE = 8 * 2**10

#: Interim responses kept of one exchange.
MAX_HTTP_INTERIM = 100

#: Pieces of both directions without the beginning of a message after which a connection counts as not HTTP.
MAX_HTTP_GUESSES = 64

#: Requests that may wait for a response on one connection.
MAX_PIPELINED = 1024

#: Facts, and runs of opaque records, kept per connection.
MAX_FACTS = 4096

#: Anomalies kept in all, and per connection.
MAX_ANOMALIES = 10_000
MAX_CONNECTION_ANOMALIES = 100

#: Bytes held back until it is known whether they are TLS or clear text.
MAX_UNDECIDED_BYTES = 64

#: What is held of a connection whose beginning was not captured until its messages show which end is the client.
MAX_ROLE_BYTES = 64 * 2**10
MAX_ROLE_EVENTS = 256

#: Bytes of a connection whose beginning was not captured, in which TLS records are looked for: three of the largest.
MAX_MIDSTREAM_BYTES = 3 * (2**14 + 2**11)

#: Bytes of clear text of a connection (both directions) in which the beginning of TLS is looked for.
MAX_PROLOGUE_BYTES = 256 * 2**10

#: Last words of one direction that are remembered while the beginning of TLS is looked for.
MAX_PROLOGUE_WORDS = 512

#: Bytes held back until it is certain that TLS begins with them.
MAX_PROLOGUE_HELD_BYTES = 64 * 2**10

#: Bytes of one connection after which the positions before its open messages are forgotten.
PRUNE_BYTES = 256 * 2**10

#: Different header fields, header lists or targets of which all exchanges share one copy.
MAX_SHARED_HEADERS = 10_000

#: Bytes of key log lines kept from a capture's Decryption Secrets Blocks: as many as from a key log file.
MAX_CAPTURE_SECRETS_BYTES = MAX_KEY_LOG

#: Interfaces of one pcapng section; packets of further ones are counted, not decoded.
MAX_INTERFACES = 65_536

#: Entries, and rows in their runs, that the position index of one direction keeps if it is never pruned.
MAX_INDEX_ENTRIES = 65_536
MAX_INDEX_ROWS = 1_000_000

#: Gaps remembered per direction, so that bytes that arrive too late are not taken for duplicates.
MAX_LOST_SPANS = 64

#: Sequence and acknowledgement numbers further away are ignored (RFC 7323 section 2.3 has this largest window).
MAX_WINDOW_BYTES = 2**30

#: Capture time after a RST during which bytes that the other side had already sent are still accepted.
RESET_LINGER_NS = 10 * 10**9

#: TLS sessions remembered for resumption, by id and by ticket.
MAX_TLS_SESSIONS = 100_000

#: Bytes of handshake messages kept to verify Finished (a client certificate chain is some KiB).
MAX_TRANSCRIPT_BYTES = 2**20

#: Early data of TLS 1.3 held until the server has accepted it (servers allow some 16 KiB).
MAX_EARLY_DATA = 256 * 2**10

#: TLS 1.3 key updates that may have happened within lost bytes.
MAX_LOST_KEY_UPDATES = 3

#: Records tried after a gap before the rest of that direction counts as lost.
MAX_RESYNC_RECORDS = 16

#: Entries of one direction's map from plaintext to records, if it is never pruned.
MAX_RECORD_SPANS = 262_144

#: Connections kept after both directions ended, and for how long: a late reset may still show how they ended.
MAX_ENDED_CONNECTIONS = 256
ENDED_LINGER_NS = 10 * 10**9

#: Captures are read together where they overlap in time. Copies of one packet in two of them are at most this far apart
#: (two capture points; retransmission timeouts begin at 200 ms), and so many packets are remembered to compare.
COPY_APART_NS = 100_000_000
MAX_RECENT_PACKETS = 65_536

#: Packets of the front of a capture that are compared with other captures, to find clocks that differ, and the pairs of
#: captures, and connections of each pair, that are compared.
MAX_HEAD_PACKETS = 256
MAX_CLOCK_PAIRS = 1_000
MAX_CLOCK_FLOWS = 64

#: Nanoseconds between the clocks of two captures (146 years); more is damage.
MAX_CLOCK_OFFSET_NS = 2**62

#: Connections that two captures show under different addresses, and packets of a batch that are compared for this.
MAX_TRANSLATIONS = 1_000

#: Key log lines in one Decryption Secrets Block, and bytes of one packet: Wireshark refuses more.
MAX_SECRETS_BLOCK_BYTES = 2**20
MAX_TSHARK_PACKET = 256 * 2**10

#: One dissected packet as tshark writes it, and one line of a followed stream.
MAX_DISSECTED_PACKET = 64 * 2**20
MAX_FOLLOWED_LINE = 64 * 2**20

#: tshark is killed when it has neither taken nor given a byte for this long.
TSHARK_STALL_SECONDS = 180

#: Connections whose data is compared in one run of tshark, which keeps all of their data in memory.
CONNECTIONS_A_RUN = 100

#: Ports that tshark is told the protocol of.
MAX_DECODED_PORTS = 1000
