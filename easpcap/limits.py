"""Every bound on memory and work, in one place. A witness of hostile bytes keeps state, not history."""

from __future__ import annotations

#: Bytes of capture that are decoded at a time. Larger windows give longer runs, smaller ones less memory.
WINDOW_BYTES = 8 * 2**20

#: A captured packet may not claim more than this (pcap's own MAXIMUM_SNAPLEN is 262144; jumbo offloads reach 1 MiB).
MAX_PACKET_BYTES = 16 * 2**20

#: Bytes of one direction that may wait out of order before the gap before them is declared.
MAX_OUT_OF_ORDER_BYTES = 4 * 2**20

#: Segments of one direction that may wait out of order (many tiny segments cost more than their bytes).
MAX_OUT_OF_ORDER_SEGMENTS = 8192

#: A gap is declared when it has been acknowledged and this many further packets of the connection have passed.
GAP_PATIENCE_PACKETS = 64

#: Connections kept alive at once; above it the longest silent ones are closed as open.
MAX_LIVE_CONNECTIONS = 100_000

#: A TLS handshake message (its length field allows 16 MiB; real ones are certificates chains of some KiB).
MAX_HANDSHAKE_MESSAGE = 256 * 2**10

#: Sequence numbers tried after a gap before the rest of that direction is given up.
MAX_RESYNC_TRIES = 4096

#: An HTTP head (Apache allows about 100 header lines of 8190 bytes, IIS 16 KiB in all).
MAX_HTTP_HEAD = 128 * 2**10

#: Requests that may wait for a response on one connection.
MAX_PIPELINED = 1024

#: Facts, and stretches of records of an opaque connection, kept per connection.
MAX_FACTS = 4096

#: Anomalies kept in all, and per connection.
MAX_ANOMALIES = 10_000
MAX_CONNECTION_ANOMALIES = 100

#: Bytes held back until the first ones tell TLS from clear text.
MAX_UNDECIDED_BYTES = 64

#: Bytes of one connection after which the positions behind its open messages are forgotten.
PRUNE_BYTES = 256 * 2**10
