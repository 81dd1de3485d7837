"""The default output of ``keys``: which key is needed, whether the one given matches, and why data stays encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from easpcap.advice.decryption_steps import Step, next_step
from easpcap.advice.preflight import NOT_CAPTURED, OPENED, SECURED
from easpcap.report.citations import path_text
from easpcap.report.decryption_text import REASON_WORDS, decryption_detail
from easpcap.report.escape import shortened, shown
from easpcap.report.key_text import key_contents, key_problem
from easpcap.report.server_rows import UNREADABLE_CERTIFICATE
from easpcap.report.text.layout import Layout, columns, count, listed
from easpcap.report.text.reading import input_lines, quality_lines
from easpcap.report.times import date_and_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.advice.preflight import KeyUse, Obstacle, Preflight, SeenCertificate, Server
    from easpcap.results import Analysis
    from easpcap.tls.reasons import Reason

_SERVERS_SHOWN: Final = 20
_SERVERS_NAMED: Final = 3
_NAMES_SHOWN: Final = 6
_NAME_WIDTH: Final = 200
_SUITES_SHOWN: Final = 8
_INDENT: Final = 2
_LABEL_WIDTH: Final = 13

_KINDS: Final = {
    "rsa-private-key": "private key",
    "key-log": "key log",
    "embedded-key-log": "key log",
}
_UNSEEN_WORDS: Final[dict[str, str]] = {
    "resumed": "the server does not send it again when a session is resumed",
    "encrypted": "TLS 1.3 encrypts it, and only a key log decrypts it",
    "none-sent": "this key exchange (anonymous or with a pre-shared key) uses none",
    "unsupported-version": "easpcap recognises SSL 2.0 but does not read it",
    "unanswered": "the server's answer to the client is not in the capture",
    "unfinished": "the handshake ended before the server sent it",
    **{reason: REASON_WORDS[reason] for reason in NOT_CAPTURED},
}
_OBSTACLE_WORDS: Final[dict[Reason, str]] = {
    **REASON_WORDS,
    "no-key": "the server's private key was not given",
}
_VALIDITY_WORDS: Final = {
    "expired": "EXPIRED when this was captured",
    "not-yet-valid": "NOT YET VALID when this was captured",
}


def render_keys_text(
    analysis: Analysis, found: Preflight, layout: Layout | None = None, *, arguments: str = "TRACE"
) -> Iterator[str]:
    """The report, line by line; ``arguments`` as for ``render_text``."""
    layout = layout or Layout()
    yield from input_lines(analysis, layout)
    yield from quality_lines(analysis, layout)
    yield from _key_lines(found, layout)
    yield from _result_lines(found, layout)
    for server in found.servers[:_SERVERS_SHOWN]:
        yield "\n"
        yield from _server_lines(server, found, layout)
    left = len(found.servers) - _SERVERS_SHOWN
    if left > 0:
        yield f"\n... and {count(left, 'more server')}: --format csv has them all\n"
    if found.servers_without_tls:
        connections = count(found.connections_without_tls, "connection")
        yield f"\nWithout TLS: {count(found.servers_without_tls, 'server')}, {connections}; no key is needed there.\n"
    yield from _next_lines(found, layout, arguments)


def _key_lines(found: Preflight, layout: Layout) -> Iterator[str]:
    texts = [_key(use, found) for use in found.keys]
    yield from layout.paragraphs("Keys", texts or ["none given"])


def _key(use: KeyUse, found: Preflight) -> str:
    key = use.key
    name = shown(path_text(key.path))
    if key.kind == "unusable":
        whose = f"; it is the certificate of {_ends(use.servers)}" * use.fits
        return f"{name}: cannot be used: {shown(key_problem(key) or '')}{whose}"
    if key.kind == "folder":  # the files in it follow
        return f"{name}: {key_contents(key)}"
    kind = f"{_KINDS[key.kind]}, {key_contents(key)}"
    problem = key_problem(key)
    warning = f" ({problem})" if problem else ""
    use_of_it = _log_use(use) if key.fingerprint is None else _private_key_use(use, found)
    return f"{name} ({kind}): {use_of_it}{warning}"


def _log_use(use: KeyUse) -> str:
    if use.opened:
        return f"opens {count(use.opened, 'connection')} of {_ends(use.servers)}"
    return "opens nothing: it has no line for any connection in this capture"


def _private_key_use(use: KeyUse, found: Preflight) -> str:
    opened = f"opens {count(use.opened, 'connection')}"
    if use.same_as is not None and not use.opened:
        return f"the same key as {shown(path_text(use.same_as))}"
    if use.fits and use.opened:
        return f"matches the certificate of {_ends(use.servers)} and {opened}"
    if use.fits:
        return f"matches the certificate of {_ends(use.servers)}{_why_idle(use)}"
    if use.opened:
        return f"{opened} of {_ends(use.servers)}"
    return _matches_nothing(found)


def _why_idle(use: KeyUse) -> str:
    """Why the right key opens nothing."""
    if use.by_others:
        connections = count(use.by_others, "connection")
        return f"; it opens nothing itself, but other keys or key logs decrypt {connections} there"
    if use.reasons:
        return f": it is the right key, but it opens nothing ({', '.join(use.reasons)})"
    return ": it is the right key, but there was nothing to decrypt"


def _matches_nothing(found: Preflight) -> str:
    if not found.servers:
        return "matches no server in this capture: none uses TLS"
    blind = sum(not server.certificates for server in found.servers)
    if blind == len(found.servers):
        return "opens nothing; no certificate was seen, so easpcap cannot tell whether it is the right key"
    unless = f" whose certificate was seen ({blind:,} showed none)" if blind else ""
    return f"matches no server in this capture{unless}"


def _ends(servers: Sequence[Server]) -> str:
    named = [str(server.endpoint) for server in servers[:_SERVERS_NAMED]]
    left = len(servers) - len(named)
    return listed([*named, f"{left:,} more"] if left > 0 else named)


def _result_lines(found: Preflight, layout: Layout) -> Iterator[str]:
    """The answer in one sentence."""
    secured = sum(found.statuses[status] for status in SECURED)
    opened = sum(found.statuses[status] for status in OPENED)
    if not found.servers:
        yield from layout.labelled("Result", "no TLS in this capture: no key is needed")
        return
    if not secured:
        yield from layout.labelled("Result", "nothing to decrypt: no TLS connection carries application data")
        return
    if opened == secured:
        partly = f" ({found.statuses['partial']:,} in part)" if found.statuses["partial"] else ""
        what = "the connection can" if secured == 1 else f"all {secured:,} connections can"
        yield from layout.labelled("Result", f"{what} be decrypted{partly}", style="green")
        return
    if opened:
        text = f"{opened:,} of {count(secured, 'connection')} can be decrypted"
    elif found.keys:
        text = "NOTHING can be decrypted with the files you gave"
    else:
        text = "no key was given, and nothing can be decrypted without one"
    needed = _needed(found, secured - opened)
    yield from layout.labelled(
        "Result", f"{text}{'; ' if opened else ': '}{needed}", style="yellow" if opened else "red"
    )


def _needed(found: Preflight, closed: int) -> str:
    """What the connections that were not decrypted need: a key, a key log, or another capture."""
    other = closed - found.by_private_key - found.by_key_log
    parts = [
        f"{count(number, 'connection')} {'needs' if number == 1 else 'need'} {what}"
        for number, what in (
            (found.by_private_key, "the server's private key"),
            (found.by_key_log, "a key log, or another capture without forward secrecy"),
            (other, "another capture (see below)"),
        )
        if number
    ]
    return "; ".join(parts)


def _server_lines(server: Server, found: Preflight, layout: Layout) -> Iterator[str]:
    names = ", ".join(_some(server.names))
    plain = f", {count(server.without_tls, 'connection')} without TLS" if server.without_tls else ""
    head = layout.styled(str(server.endpoint), "bold") + (f"  {names}" if names else "")
    yield f"{head}  ({count(len(server.connections), 'TLS connection')}{plain})\n"
    for certificate in server.certificates:
        yield from _certificate_lines(certificate, server, found, layout)
    if not server.certificates:
        why = [f"{_unseen(code)} ({count(number, 'connection')})" for code, number in server.unseen]
        yield from _labelled(layout, "Certificate", "not seen: " + "; ".join(why))
    yield from _suite_lines(server, layout)
    lines = [_decryption(server)] if server.opened or not server.secured or len(server.connections) > 1 else []
    lines += [_obstacle(obstacle) for obstacle in server.obstacles]
    for number, line in enumerate(lines):
        yield from _labelled(layout, "" if number else "Decryption", line)


def _labelled(layout: Layout, label: str, text: str, style: str = "bold") -> Iterator[str]:
    return layout.labelled(label, text, indent=_INDENT, label_width=_LABEL_WIDTH, style=style)


def _some(texts: Sequence[str]) -> list[str]:
    left = len(texts) - _NAMES_SHOWN
    named = [shortened(shown(text), _NAME_WIDTH) for text in texts[:_NAMES_SHOWN]]
    return [*named, f"... ({left:,} more)"] if left > 0 else named


def _unseen(code: str) -> str:
    return _UNSEEN_WORDS[code]


def _certificate_lines(certificate: SeenCertificate, server: Server, found: Preflight, layout: Layout) -> Iterator[str]:
    facts = certificate.facts
    subject = shown(facts.subject) if facts.subject else "(no subject)"
    yield from _labelled(layout, "Certificate", subject if facts.readable else UNREADABLE_CERTIFICATE)
    lines = []
    if facts.issuer is not None:
        lines.append("self-signed" if facts.issuer == facts.subject else f"issued by {shown(facts.issuer)}")
    others = [name for name in facts.names if f"CN={name}" != (facts.subject or "").partition(", ")[0]]
    if others:
        lines.append(f"for {', '.join(_some(facts.names))}")
    if facts.serial is not None:
        lines.append(f"serial {facts.serial}")
    if facts.not_before is not None and facts.not_after is not None:
        lines.append(f"valid {date_and_clock(facts.not_before)} to {date_and_clock(facts.not_after)} UTC")
    if certificate.validity is not None:
        lines[-1:] = [f"{line}: {_VALIDITY_WORDS[certificate.validity]}" for line in lines[-1:]]
    if facts.key_type is not None:
        lines.append(f"{facts.key_type} key" + (f" of {facts.key_bits:,} bits" if facts.key_bits else ""))
    for line in lines:
        yield from _labelled(layout, "", line)
    yield from _labelled(layout, "Thumbprint", f"SHA-1    {facts.sha1}")
    yield from _labelled(layout, "", f"SHA-256  {facts.sha256}")
    if len(server.certificates) > 1:
        asked = f" for {', '.join(_some(certificate.server_names))}" if certificate.server_names else ""
        yield from _labelled(layout, "Shown on", f"{count(len(certificate.connections), 'connection')}{asked}")
    fits = _fitting(certificate, found)
    yield from _labelled(layout, "Key", fits)


def _fitting(certificate: SeenCertificate, found: Preflight) -> str:
    if certificate.keys:
        named = [shown(path_text(path)) for path in certificate.keys]
        return f"{listed(named)} {'matches' if len(named) == 1 else 'match'}"
    if certificate.facts.key_type not in {"RSA", None}:
        return "a private key of this type cannot decrypt anything; only a key log can"
    given = any(use.key.fingerprint is not None and use.key.kind != "unusable" for use in found.keys)
    return "none of the keys given matches" if given else "no private key given"


def _suite_lines(server: Server, layout: Layout) -> Iterator[str]:
    rows = [
        (version or "version unknown", suite or "cipher suite unknown", count(number, "connection"))
        for version, suite, number in server.suites[:_SUITES_SHOWN]
    ]
    left = len(server.suites) - _SUITES_SHOWN
    for number, line in enumerate(columns(rows)):
        yield from _plain(layout, "" if number else "TLS", line)
    if left > 0:
        yield from _labelled(layout, "", f"... and {left:,} more")


def _plain(layout: Layout, label: str, line: str) -> Iterator[str]:
    """A line of aligned columns, which wrapping would spoil."""
    yield " " * _INDENT + layout.styled(label, "bold") + " " * (_LABEL_WIDTH - len(label)) + line + "\n"


def _decryption(server: Server) -> str:
    idle = server.statuses["none"]
    if not server.secured:
        return f"nothing to decrypt: {count(idle, 'connection')} without application data"
    partly = f", {server.statuses['partial']:,} of them in part" if server.statuses["partial"] else ""
    beside = f"; {idle:,} without application data" if idle else ""
    if server.opened == server.secured:
        which = count(server.secured, "connection")
    else:
        which = f"{server.opened or 'none':{',' if server.opened else ''}} of {count(server.secured, 'connection')}"
    return f"{which} decrypted{partly}{beside}"


def _obstacle(obstacle: Obstacle) -> str:
    many = len(obstacle.connections)
    words = _OBSTACLE_WORDS[obstacle.reason]
    if many == 1 and obstacle.partial:  # the verdict knows where decryption stopped
        words = decryption_detail(obstacle.verdict) or words
    where = f"connection {obstacle.connections[0]}" if many == 1 else f"{many:,} connections"
    kind = "not" if not obstacle.partial else "only in part" if obstacle.partial == many else "not or only in part"
    return f"{where} {kind} ({obstacle.reason}): {words}"


def _next_lines(found: Preflight, layout: Layout, arguments: str) -> Iterator[str]:
    """One step per reason, whichever servers have it; then the command for the analysis, if anything was decrypted."""
    steps = _steps(found)
    lead = "Next"
    if steps:
        yield "\n"
    for reason, number, step in steps:
        yield from layout.labelled(lead, f"{reason} ({count(number, 'connection')}): {step.what}")
        for how in step.how:
            yield from layout.paragraphs("", [how.where], indent=2)
            yield from (" " * 16 + command + "\n" for command in how.commands)  # not wrapped: to be copied whole
        lead = ""
    if not any(found.statuses[status] for status in OPENED):
        return
    command = f"easpcap inspect {arguments}\n"  # not wrapped: to be copied whole
    if steps:
        yield from layout.labelled("", "To analyse what can be decrypted:")
        yield " " * 14 + command
    else:
        yield "\n" + layout.styled("Next", "bold") + " " * 8 + command


def _steps(found: Preflight) -> list[tuple[Reason, int, Step]]:
    """(reason, connections, step), the most frequent first; a thumbprint is named where it is the only one."""
    by_reason: dict[Reason, list[Obstacle]] = {}
    for server in found.servers:
        for obstacle in server.obstacles:
            by_reason.setdefault(obstacle.reason, []).append(obstacle)
    steps = []
    for reason, obstacles in by_reason.items():
        same = all(obstacle.step == obstacles[0].step for obstacle in obstacles)
        step = obstacles[0].step if same else next_step(reason, None)
        steps.append((reason, sum(len(obstacle.connections) for obstacle in obstacles), step))
    return sorted(steps, key=lambda item: -item[1])
