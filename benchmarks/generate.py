"""Large captures of ActiveSync over TLS: real OpenSSL bytes, many connections at once, any sizes.

    python benchmarks/generate.py mixed                       benchmarks/out/mixed.pcap and mixed.truth.csv
    python benchmarks/generate.py small --megabytes 20 --output small.pcap
    python benchmarks/generate.py --list

The truth beside a capture names every request and status in it. Equal arguments give equal files.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packets import Connection, PcapWriter, disturb
from peers import SUITES, TO_CLIENT, TO_SERVER, Link, Peers, seed_openssl, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

OUT = Path(__file__).resolve().parent / "out"

#: (weight, least, most): how often, and between which sizes in bytes.
Sizes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Shape:
    """The parameters of a capture."""

    about: str
    megabytes: float
    together: int  # connections alive at the same time
    requests: tuple[int, int]  # on one connection
    uploads: Sizes
    downloads: Sizes
    pieces: tuple[int, int]  # bytes handed to TLS at a time, and so the size of a record
    suites: tuple[tuple[int, str], ...]
    chunked: float = 0.2  # share of responses in chunked coding
    resumed: float = 0.3  # share of connections that resume a session by its id
    reordered: float = 0.0  # shares of packets
    repeated: float = 0.0
    lost: float = 0.0
    seed: int = 1


_MIXED_SUITES = (
    (30, "aes128-sha"),
    (30, "aes128-gcm"),
    (10, "aes256-gcm"),
    (10, "aes256-sha256"),
    (10, "aes128-sha-etm"),
    (10, "tls10-aes128-sha"),
)

PRESETS = {
    "mixed": Shape(
        "all suites, bodies from nothing to 1 MB, records of 1 to 16 KB",
        megabytes=120,
        together=50,
        requests=(1, 24),
        uploads=((50, 0, 400), (35, 400, 8_000), (12, 8_000, 120_000), (3, 120_000, 1_000_000)),
        downloads=((50, 0, 600), (35, 600, 12_000), (13, 12_000, 90_000), (2, 90_000, 600_000)),
        pieces=(1_000, 16_384),
        suites=_MIXED_SUITES,
    ),
    "small": Shape(
        "many short connections, records of about 486 bytes",
        megabytes=100,
        together=50,
        requests=(4, 20),
        uploads=((70, 0, 900), (30, 900, 4_000)),
        downloads=((70, 0, 900), (30, 900, 4_000)),
        pieces=(486, 486),
        suites=_MIXED_SUITES,
    ),
    "bulk": Shape(
        "few connections, bodies of megabytes, records of 13 to 16 KB",
        megabytes=320,
        together=16,
        requests=(1, 4),
        uploads=((50, 200, 2_000), (50, 500_000, 8_000_000)),
        downloads=((50, 200, 2_000), (50, 500_000, 8_000_000)),
        pieces=(13_000, 16_384),
        suites=((50, "aes128-sha"), (50, "aes128-gcm")),
    ),
    "tiny": Shape(
        "one sitting of one device: what is measured is how long a program takes to start",
        megabytes=0.055,
        together=2,
        requests=(2, 5),
        uploads=((100, 100, 4_000),),
        downloads=((100, 100, 6_000),),
        pieces=(1_000, 4_000),
        suites=((100, "aes128-sha"),),
        resumed=0,
    ),
    "rough": Shape(
        "as mixed, from a bad line: some packets late, some twice",
        megabytes=60,
        together=50,
        requests=(1, 24),
        uploads=((50, 0, 400), (35, 400, 8_000), (15, 8_000, 120_000)),
        downloads=((50, 0, 600), (35, 600, 12_000), (15, 12_000, 90_000)),
        pieces=(1_000, 16_384),
        suites=_MIXED_SUITES,
        reordered=0.01,
        repeated=0.01,
    ),
}

COMMANDS = ("Sync", "Sync", "Sync", "Ping", "SendMail", "FolderSync", "ItemOperations", "SmartReply", "Search")
STATUSES = ((200, "OK"),) * 37 + (
    (401, "Unauthorized"),
    (449, "Retry after sending a PROVISION command"),
    (503, "Busy"),
)


class Writer:
    """Generates random conversations of one shape, and writes down what they contain."""

    def __init__(self, shape: Shape, truth: Any) -> None:  # noqa: ANN401 - csv names no type of its writers
        self._shape = shape
        self._random = seeded(shape.seed)
        self._pool = memoryview(self._random.randbytes(2**22))
        self._peers = {name: Peers(SUITES[name]) for _, name in shape.suites}
        self._truth = truth
        self._begun = 0
        self.ending = False  # set when the capture is large enough: connections end with the exchange they are at

    def connection(self) -> Iterator[bytes]:
        """The frames of one more connection, drawn as they are asked for."""
        shape = self._shape
        if not (shape.reordered or shape.repeated or shape.lost):
            return self._frames()
        return disturb(
            self._frames(), self._random, reordered=shape.reordered, repeated=shape.repeated, lost=shape.lost
        )

    def _frames(self) -> Iterator[bytes]:
        shape, source = self._shape, self._random
        number = self._begun  # counted at the first packet, as Wireshark's tcp.stream is
        self._begun += 1
        tcp = Connection(number, source)
        yield from tcp.open()
        (name,) = source.choices([name for _, name in shape.suites], [weight for weight, _ in shape.suites])
        link = self._peers[name].connect(resume=source.random() < shape.resumed)
        for direction, flight in link.handshake():
            yield from tcp.send(direction, flight)
        for _ in range(source.randint(*shape.requests)):
            if self.ending:
                break
            for direction, records in self._exchange(number, link):
                yield from tcp.send(direction, records)
        for direction in (TO_SERVER, TO_CLIENT):
            yield from tcp.send(direction, link.close(direction))
        yield from tcp.close()

    def _exchange(self, number: int, link: Link) -> Iterator[tuple[int, bytes]]:
        source = self._random
        command = source.choice(COMMANDS)
        target = (
            f"/Microsoft-Server-ActiveSync?User=user{number}&DeviceId=Appl{number:08d}&DeviceType=iPhone&Cmd={command}"
        )
        status, reason = source.choice(STATUSES)
        self._truth.writerow((number, "POST", target, status))
        body = self._body(self._shape.uploads)
        head = (
            f"POST {target} HTTP/1.1\r\nHost: mail.contoso.com\r\nUser-Agent: Apple-iPhone3C1/801.293\r\n"
            f"MS-ASProtocolVersion: 12.1\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        yield from self._message(link, TO_SERVER, head, body, chunked=False)
        body = self._body(self._shape.downloads)
        chunked = source.random() < self._shape.chunked
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        head = f"HTTP/1.1 {status} {reason}\r\nServer: Microsoft-IIS/7.5\r\n{framing}\r\n\r\n"
        yield from self._message(link, TO_CLIENT, head, body, chunked=chunked)

    def _message(
        self, link: Link, direction: int, head: str, body: memoryview, *, chunked: bool
    ) -> Iterator[tuple[int, bytes]]:
        yield direction, link.write(direction, head.encode("ascii"))
        at = 0
        while at < len(body):
            piece = body[at : at + self._random.randint(*self._shape.pieces)]
            at += len(piece)
            data = b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")) if chunked else piece
            yield direction, link.write(direction, data)
        if chunked:
            yield direction, link.write(direction, b"0\r\n\r\n")

    def _body(self, sizes: Sizes) -> memoryview:
        ((_, least, most),) = self._random.choices(sizes, [weight for weight, _, _ in sizes])
        size = self._random.randint(least, most)
        pool = self._pool
        if size > len(pool):
            pool = self._pool = memoryview(self._random.randbytes(2 * size))
        start = self._random.randrange(len(pool) - size)
        return pool[start : start + size]


def generate(shape: Shape, capture: Path) -> PcapWriter:
    """Write the capture and its truth; returns the writer with its counts.

    Connections take turns by a few packets at a time; a new one begins where one ends, until the size is reached.
    """
    seed_openssl(shape.seed)
    turns = seeded(shape.seed + 1)
    with capture.open("wb", 2**20) as file, capture.with_suffix(".truth.csv").open("w", newline="") as truth_file:
        truth = csv.writer(truth_file)
        truth.writerow(("connection", "method", "target", "status"))
        conversations = Writer(shape, truth)
        out = PcapWriter(file, turns)
        alive = [conversations.connection() for _ in range(shape.together)]
        while alive:
            place = turns.randrange(len(alive))
            for _ in range(turns.randint(1, 12)):
                frame = next(alive[place], None)
                if frame is None:
                    if conversations.ending:
                        del alive[place]
                    else:
                        alive[place] = conversations.connection()
                    break
                out.write(frame)
            conversations.ending = out.bytes >= shape.megabytes * 1e6
    return out


#: Options that replace one number of a preset.
SCALARS = ("megabytes", "together", "chunked", "resumed", "reordered", "repeated", "lost", "seed")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", nargs="?", choices=sorted(PRESETS), help="what to generate; none: the same as --list")
    parser.add_argument("--list", action="store_true", help="say what the presets are")
    parser.add_argument("--output", type=Path, help="the capture; the truth goes beside it")
    for name in SCALARS:
        kind = type(getattr(PRESETS["mixed"], name))
        parser.add_argument(f"--{name}", type=float if kind is float or name == "megabytes" else int)
    for name in ("requests", "pieces"):
        parser.add_argument(f"--{name}", type=int, nargs=2, metavar=("LEAST", "MOST"))
    parser.add_argument("--suites", help="one or more of " + ", ".join(SUITES) + ", with commas between")
    return parser.parse_args()


def _shape(arguments: argparse.Namespace) -> Shape:
    shape = PRESETS[arguments.preset]
    changes: dict[str, Any] = {name: getattr(arguments, name) for name in SCALARS}
    changes.update(
        {name: tuple(getattr(arguments, name)) for name in ("requests", "pieces") if getattr(arguments, name)}
    )
    if arguments.suites:
        changes["suites"] = tuple((1, name) for name in arguments.suites.split(","))
    return replace(shape, **{name: value for name, value in changes.items() if value is not None})


def main() -> int:
    """Generate what the command line asks for."""
    arguments = _arguments()
    if arguments.list or not arguments.preset:
        for name, shape in PRESETS.items():
            print(f"{name:6} {shape.megabytes:g} MB: {shape.about}")
        return 0
    output = arguments.output or OUT / f"{arguments.preset}.pcap"
    output.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    written = generate(_shape(arguments), output)
    seconds = time.perf_counter() - began
    print(f"{output}: {written.bytes / 1e6:.1f} MB, {written.packets} packets, in {seconds:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
