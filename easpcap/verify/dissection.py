"""What tshark's dissectors see: handshakes, requests and statuses of every TCP stream, read through pyshark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from easpcap.fields import Fields, field
from easpcap.http.head import parse_request_line
from easpcap.limits import MAX_DISSECTED_PACKET, MAX_PADDING_BYTES
from easpcap.tls.codepoints import CLIENT_HELLO, HELLO_REQUEST, SERVER_HELLO
from easpcap.verify.opinion import Opinion, version_text
from easpcap.verify.tshark import SecondOpinionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: IPv6 packets without a length, as segmentation offload leaves them: tshark does not read what is in them.
_WITHOUT_LENGTH: Final = "ipv6.plen == 0 && ipv6.nxt == 6"
#: Segments that may hold only padding which the IP length counts.
_SHORT: Final = f"tcp.len > 0 && tcp.len <= {MAX_PADDING_BYTES} && tcp.flags.push == 0"
FILTER: Final = f"tls.handshake.type <= 2 || http.request || http.response || ({_WITHOUT_LENGTH}) || ({_SHORT})"

#: What makes tshark right, wherever its own defaults are.
PREFERENCES: Final = {
    "tcp.desegment_tcp_streams": "TRUE",
    "tcp.reassemble_out_of_order": "TRUE",
    "tcp.check_checksum": "FALSE",
    "ip.check_checksum": "FALSE",
    "tls.desegment_ssl_records": "TRUE",
    "tls.desegment_ssl_application_data": "TRUE",
    "tls.ignore_ssl_mac_failed": "FALSE",
    "http.desegment_headers": "TRUE",
    "http.dechunk_body": "TRUE",
    "http.decompress_body": "FALSE",
}

#: The random of a HelloRetryRequest (RFC 8446 section 4.1.3).
RETRY_RANDOM: Final = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"

#: The fields that are read of layers with many others.
_FIELDS_READ: Final[dict[str, frozenset[str]]] = {
    "frame": frozenset(),
    "tcp": frozenset({"tcp.stream", "tcp.flags", "tcp.flags.push", "tcp.payload"}),
}

_PACKET_BEGINS, _PACKET_ENDS = b"<packet>", b"</packet>"


def preference_arguments() -> list[str]:
    """PREFERENCES as arguments of tshark."""
    return [argument for name, value in PREFERENCES.items() for argument in ("-o", f"{name}:{value}")]


def dissection_arguments(*, reassemble_bodies: bool) -> list[str]:
    """Arguments that make tshark write the packets that matter as PDML, with the layers that matter in full."""
    bodies = f"http.desegment_body:{'TRUE' if reassemble_bodies else 'FALSE'}"
    return [*preference_arguments(), "-o", bodies, "-T", "pdml", "-J", "frame ipv6 tcp tls http", "-Y", FILTER]


class Dissection(Fields):
    """What tshark dissected: opinions without ``data`` by the number of the TCP stream.

    ``unread``: sender and receiver of packets that it could not read.
    """

    opinions: dict[int, Opinion] = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)


def read_dissection(output: Iterable[bytes]) -> Dissection:
    """What a PDML document says.

    Raises:
        SecondOpinionError: the document is not what tshark writes.
    """
    from pyshark.tshark.output_parser.tshark_xml import packet_from_xml_packet

    dissection = Dissection()
    for text in _packets(output):
        try:
            packet = packet_from_xml_packet(_parsed(text))
            _read_packet(packet.layers, dissection)
        except (SyntaxError, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            msg = (
                f"a packet that tshark dissected cannot be read ({type(error).__name__}); update pyshark and Wireshark"
            )
            raise SecondOpinionError(msg) from error
    return dissection


def _parsed(text: bytes) -> Any:  # noqa: ANN401  # lxml has no types
    """The packet as an XML element without the fields that nobody reads, on which pyshark would spend most of its time.

    As text where it is not valid XML: pyshark mends it.
    """
    from lxml import objectify

    try:
        packet = objectify.fromstring(text, objectify.makeparser(huge_tree=True, resolve_entities=False))
    except SyntaxError:
        return text
    for layer in packet.findall("proto"):
        wanted = _FIELDS_READ.get(layer.get("name"))
        if wanted is not None:
            for unread in [each for each in layer.iterchildren() if each.get("name") not in wanted]:
                layer.remove(unread)
    return packet


def _packets(output: Iterable[bytes]) -> Iterator[bytes]:
    """The text of each packet in a PDML document."""
    held = bytearray()
    for piece in output:
        searched = max(len(held) - len(_PACKET_ENDS), 0)
        held += piece
        while (end := held.find(_PACKET_ENDS, searched)) >= 0:
            begin = max(held.find(_PACKET_BEGINS, 0, end), 0)
            yield bytes(held[begin : end + len(_PACKET_ENDS)])
            del held[: end + len(_PACKET_ENDS)]
            searched = 0
        if len(held) > MAX_DISSECTED_PACKET:
            raise SecondOpinionError("tshark makes too much of one packet of this capture; verify a part without it")


def _read_packet(layers: Iterable[Any], dissection: Dissection) -> None:
    """Add what a packet shows to the opinion on its stream."""
    opinion = None
    for layer in layers:
        if layer.layer_name == "tcp" and layer.get_field("stream") is not None:
            opinion = dissection.opinions.setdefault(int(layer.get_field("stream")), Opinion())
            opinion.padding = opinion.padding or _is_padding(layer)
        elif layer.layer_name == "ipv6" and layer.get_field("plen") is not None and int(layer.get_field("plen")) == 0:
            dissection.unread.add((str(layer.get_field("src")), str(layer.get_field("dst"))))
        elif opinion is not None and layer.layer_name == "tls":
            _read_tls(layer, opinion)
        elif opinion is not None and layer.layer_name == "http":
            _read_http(layer, opinion)


def _is_padding(layer: Any) -> bool:  # noqa: ANN401  # pyshark has no types
    """Whether a segment holds a few zeros and was not sent with PSH."""
    payload = layer.get_field("payload")
    if payload is None or str(layer.get_field("flags_push")) not in {"0", "False"}:
        return False
    data = bytes.fromhex(payload.raw_value or "")
    return 0 < len(data) <= MAX_PADDING_BYTES and not any(data)


def _read_tls(layer: Any, opinion: Opinion) -> None:  # noqa: ANN401  # pyshark has no types
    kinds = [int(kind) for kind in _values(layer, "handshake_type")]
    if CLIENT_HELLO in kinds and opinion.retried:  # the second one of the same handshake
        kinds.remove(CLIENT_HELLO)
        opinion.retried = False
    opinion.client_hellos += kinds.count(CLIENT_HELLO)
    opinion.hello_requests += kinds.count(HELLO_REQUEST)
    if SERVER_HELLO not in kinds:
        return
    from easpcap.tls.suites.suite import suite

    opinion.retried = RETRY_RANDOM in "".join(_values(layer, "handshake_random")).replace(":", "")
    versions = [int(version, 16) for version in _values(layer, "handshake_version")]
    chosen = [int(version, 16) for version in _values(layer, "handshake_extensions_supported_version")]
    for number, value in enumerate(_values(layer, "handshake_ciphersuite")):
        version = chosen[number] if number < len(chosen) else versions[number]
        opinion.server_hellos.append((version_text(version), suite(int(value, 16)).name))


def _read_http(layer: Any, opinion: Opinion) -> None:  # noqa: ANN401  # pyshark has no types
    method, target = layer.get_field("request_method"), layer.get_field("request_uri")
    if method is not None and target is not None:
        raw = bytes.fromhex(target.raw_value or "").decode("latin-1")
        method, target, _ = parse_request_line(f"{method} {raw} HTTP/1.1")
        opinion.requests[method, target] += 1
    opinion.statuses.update(int(status) for status in _values(layer, "response_code"))


def _values(layer: Any, name: str) -> list[str]:  # noqa: ANN401  # pyshark has no types
    found = layer.get_field(name)
    return [] if found is None else [str(each.show) for each in found.all_fields]
