"""The application data of a connection as tshark shows it in "Follow TLS Stream" and "Follow TCP Stream": its hash."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from easpcap.limits import MAX_FOLLOWED_LINE
from easpcap.stream import TO_CLIENT, TO_SERVER
from easpcap.verify.dissection import preference_arguments
from easpcap.verify.opinion import StreamData
from easpcap.verify.tshark import SecondOpinionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from easpcap.results import Connection

_FILTER: Final = re.compile(rb"Filter: tcp\.stream eq (\d+)")
_NODE: Final = re.compile(rb"Node 0: \[?([^\]]*?)\]?:(\d+)")
_MISSING: Final = re.compile(rb"\[(\d+) bytes missing in capture file\]\0?")


def follow_arguments(connections: Sequence[Connection]) -> list[str]:
    """Arguments that make tshark print the data of these connections, and nothing else.

    HTTP is not dissected: where its dissector fails on a message, tshark leaves out data of that packet.
    """
    arguments = [*preference_arguments(), "-q", "--disable-protocol", "http", "--disable-protocol", "http2"]
    for connection in connections:
        protocol = "tcp" if connection.tls is None else "tls"
        arguments += ["-z", f"follow,{protocol},raw,{connection.id}"]
    return arguments


class _Hashes:
    """Sizes and hashes of the two senders: of the first node, and of the other."""

    def __init__(self) -> None:
        self.sizes = [0, 0]
        self.missing = [0, 0]
        self._hashes = (hashlib.sha256(), hashlib.sha256())

    def add(self, sender: int, data: bytes) -> None:
        gap = _MISSING.fullmatch(data)
        if gap is not None:
            self.missing[sender] += int(gap[1])
            return
        self.sizes[sender] += len(data)
        self._hashes[sender].update(data)

    def of(self, sender: int) -> StreamData:
        return StreamData(self.sizes[sender], self._hashes[sender].hexdigest(), self.missing[sender])


def read_follow(
    output: Iterable[bytes], connections: Sequence[Connection]
) -> dict[int, tuple[StreamData, StreamData] | None]:
    """The data of each connection by direction; None where tshark numbers another connection so.

    Raises:
        SecondOpinionError: the output is not what tshark prints.
    """
    by_id = {connection.id: connection for connection in connections}
    found: dict[int, tuple[StreamData, StreamData] | None] = {}
    connection, node, hashes = None, b"", _Hashes()
    for line in _lines(output):
        if header := _FILTER.fullmatch(line):
            connection, hashes = by_id.get(int(header[1])), _Hashes()
        elif line.startswith(b"Node 0:"):
            node = line
        elif line.startswith(b"===") and connection is not None:
            found[connection.id] = _directions(connection, node, hashes)
            connection = None
        elif connection is not None and not line.startswith((b"Node 1:", b"Follow:")):
            hashes.add(line.startswith(b"\t"), _bytes(line))
    return found


def _directions(connection: Connection, node: bytes, hashes: _Hashes) -> tuple[StreamData, StreamData] | None:
    """The hashes by direction: the first node is whichever side sent first."""
    match = _NODE.fullmatch(node)
    first = (match[1].decode("ascii", "replace"), int(match[2])) if match else ("", 0)
    if first == connection.client or not any(hashes.sizes):
        return hashes.of(TO_SERVER), hashes.of(TO_CLIENT)
    if first == connection.server:
        return hashes.of(TO_CLIENT), hashes.of(TO_SERVER)
    return None


def _lines(output: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in output:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(held) > MAX_FOLLOWED_LINE:
            raise SecondOpinionError("tshark prints a line of more than 64 MiB; update Wireshark")


def _bytes(line: bytes) -> bytes:
    try:
        return bytes.fromhex(line.decode("ascii"))
    except ValueError as error:
        raise SecondOpinionError("tshark prints a stream in an unknown form; update Wireshark") from error
