"""What could be decrypted, with which key, and why the rest could not: the first thing a reader must know."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from easpcap.report.escape import shown
from easpcap.report.rows import path_text
from easpcap.report.text.layout import count, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, Connection, KeyFile

_KEYS_SHOWN = 4

#: The reason in plain words, where the verdict brings no detail of its own.
REASON_WORDS = {
    "handshake-not-captured": "the connection had begun before the capture",
    "one-direction-missing": "only one direction was captured",
    "gap": "packets are missing from the capture",
    "truncated-packets": "the packets are cut",
    "resumed-session-not-captured": "a session is resumed whose first handshake is not in the capture",
    "unsupported-suite": "the cipher suite is not supported",
    "forward-secrecy": "the key exchange is ephemeral (forward secrecy), a private key cannot decrypt it",
    "needs-key-log": "this kind of handshake needs a key log",
    "key-log-lacks-session": "the key log has no line for it",
    "key-mismatch": "the key given is not the key of the server's certificate",
    "no-key": "no key was given",
    "mac-failure": "records do not verify",
}


def decryption_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """How many connections, with which keys; then the others by reason, each with what to do."""
    statuses = Counter(connection.decryption.status for connection in analysis.connections)
    secured = statuses["decrypted"] + statuses["partial"] + statuses["opaque"]
    opened = statuses["decrypted"] + statuses["partial"]
    if not secured:
        yield from layout.labelled("Decryption", _nothing_encrypted(statuses))
    elif opened:
        partly = f" ({statuses['partial']:,} in part)" if statuses["partial"] else ""
        which = count(opened, "connection") if opened == secured else f"{opened:,} of {count(secured, 'connection')}"
        yield from layout.labelled("Decryption", f"{which} decrypted{partly}{_with_keys(analysis)}", style="bold")
    else:
        whole = "the connection" if secured == 1 else f"none of {secured:,} connections"
        text = f"{whole} could not be decrypted" if secured == 1 else f"{whole} could be decrypted"
        yield from layout.labelled("Decryption", f"NOTHING: {text}", style="red")
    yield from _reasons(analysis, layout)
    yield from _idle_keys(analysis, layout)


def _nothing_encrypted(statuses: Counter[str]) -> str:
    if statuses["plaintext"]:
        return f"not needed: {count(statuses['plaintext'], 'connection')}, none with TLS"
    return "nothing to decrypt: no connection carries application data"


def _with_keys(analysis: Analysis) -> str:
    opened = _opened(analysis)
    used = [key for key in analysis.keys if opened.intersection(key.matches)]
    if not used:
        return ""
    once = {key.fingerprint or key.path: key for key in reversed(used)}  # of files with the same key the first one
    used = [key for key in used if once[key.fingerprint or key.path] is key]
    return f", with {listed([_key(key) for key in used[:_KEYS_SHOWN]])}" + _thumbprint(analysis, used)


def _opened(analysis: Analysis) -> set[int]:
    return {c.id for c in analysis.connections if c.decryption.status in {"decrypted", "partial"}}


def _key(key: KeyFile) -> str:
    return f"{shown(path_text(key.path))}{f' ({shown(key.detail)})' if key.detail else ''}"


def _thumbprint(analysis: Analysis, used: list[KeyFile]) -> str:
    """Of the server's certificate, as IIS and netsh show it, where there is only one."""
    import hashlib

    opened = {connection for key in used for connection in key.matches}
    found = [c for c in analysis.connections if c.id in opened and c.tls is not None]
    certificates = {c.tls.server_certificate for c in found if c.tls is not None and c.tls.server_certificate}
    names = {c.tls.server_name for c in found if c.tls is not None and c.tls.server_name}
    if len(certificates) != 1:
        return ""
    # The thumbprint of Windows is the SHA-1 of the certificate: a name, no protection.
    digest = hashlib.sha1(certificates.pop(), usedforsecurity=False).hexdigest()
    name = f" of {shown(names.pop())}" if len(names) == 1 else ""
    return f"; certificate{name}, thumbprint {digest[:8]}...{digest[-4:]}"


def _reasons(analysis: Analysis, layout: Layout) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Connection]] = {}
    for connection in analysis.connections:
        verdict = connection.decryption
        if verdict.status in {"opaque", "partial"} and verdict.reason is not None:
            groups.setdefault((verdict.status, verdict.reason), []).append(connection)
    for (status, reason), connections in sorted(groups.items(), key=lambda item: -len(item[1])):
        details = Counter(c.decryption.detail for c in connections if c.decryption.detail)
        detail = shown(details.most_common(1)[0][0]) if details else ""
        many = len(connections)
        if many > 1:  # frames are those of one connection only
            detail = detail.partition(" The first record not decrypted")[0]
        where = f"connection {connections[0].id}" if many == 1 else f"{many:,} connections"
        kind = "not" if status == "opaque" else "only in part"
        why = detail or f"{REASON_WORDS.get(reason, reason)}."
        yield from layout.labelled("", f"{where} {kind} ({reason}): {why}")


def _idle_keys(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """Keys that opened nothing: the usual reason for an empty result."""
    opened = _opened(analysis)
    for key in [key for key in analysis.keys if not opened.intersection(key.matches)][:_KEYS_SHOWN]:
        if key.kind == "unusable":
            yield from layout.labelled("", f"{shown(path_text(key.path))} cannot be used: {shown(key.error or '')}")
        elif key.kind == "folder":
            yield from layout.labelled("", f"{shown(path_text(key.path))}: {shown(key.detail)}")
        elif key.matches:
            where = count(len(key.matches), "connection")
            yield from layout.labelled("", f"{_key(key)} fits the certificate of {where}: it is the right key")
        else:
            yield from layout.labelled("", f"{_key(key)} fits no connection in this capture")
