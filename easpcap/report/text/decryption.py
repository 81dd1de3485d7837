"""The section "Decryption" of the report: what was decrypted, with which key, and why the rest was not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from easpcap.report.citations import path_text
from easpcap.report.decryption_text import REASON_WORDS, common_advice, decryption_detail
from easpcap.report.escape import shown
from easpcap.report.key_text import key_contents, key_problem
from easpcap.report.text.layout import count, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easpcap.report.text.layout import Layout
    from easpcap.results import Analysis, Connection, KeyFile
    from easpcap.tls.reasons import Reason, Status

_KEYS_SHOWN = 4


def decryption_lines(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """How many connections were decrypted, with which keys; then the others by reason, each with what to do."""
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
        which = "the connection was not decrypted" if secured == 1 else f"none of {secured:,} connections was decrypted"
        yield from layout.labelled("Decryption", f"NOTHING: {which}", style="red")
    yield from _reasons(analysis, layout)
    yield from _idle_keys(analysis, layout)


def _nothing_encrypted(statuses: Counter[Status]) -> str:
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
    contents = key_contents(key)
    return shown(path_text(key.path)) + (f" ({contents})" if contents else "")


def _thumbprint(analysis: Analysis, used: list[KeyFile]) -> str:
    """Of the server's certificate, as IIS and netsh show it, where there is only one."""
    import hashlib

    opened = {connection for key in used for connection in key.matches}
    found = [c for c in analysis.connections if c.id in opened and c.tls is not None]
    certificates = {c.tls.server_certificate for c in found if c.tls is not None and c.tls.server_certificate}
    names = {c.tls.server_name for c in found if c.tls is not None and c.tls.server_name}
    if len(certificates) != 1:
        return ""
    # The thumbprint of Windows is the SHA-1 of the certificate: a name that protects nothing.
    digest = hashlib.sha1(certificates.pop(), usedforsecurity=False).hexdigest()
    name = f" of {shown(names.pop())}" if len(names) == 1 else ""
    return f"; certificate{name}, thumbprint {digest[:8]}...{digest[-4:]}"


def _reasons(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """One line per reason, the most frequent first; a single connection also says where its decryption stopped."""
    groups: dict[tuple[Status, Reason], list[Connection]] = {}
    for connection in analysis.connections:
        verdict = connection.decryption
        if verdict.status in {"opaque", "partial"} and verdict.reason is not None:
            groups.setdefault((verdict.status, verdict.reason), []).append(connection)
    for (status, reason), connections in sorted(groups.items(), key=lambda item: -len(item[1])):
        kind = "not" if status == "opaque" else "only in part"
        if len(connections) == 1:
            where, why = f"connection {connections[0].id}", decryption_detail(connections[0].decryption)
        else:
            where, why = f"{len(connections):,} connections", common_advice([c.decryption for c in connections])
        yield from layout.labelled("", f"{where} {kind} ({reason}): {why}")


def _idle_keys(analysis: Analysis, layout: Layout) -> Iterator[str]:
    """Keys that decrypted nothing: the usual reason for an empty result."""
    opened = _opened(analysis)
    for key in [key for key in analysis.keys if not opened.intersection(key.matches)][:_KEYS_SHOWN]:
        yield from layout.labelled("", _idle_key(key, analysis))


def _idle_key(key: KeyFile, analysis: Analysis) -> str:
    if key.kind == "unusable":
        return f"{shown(path_text(key.path))} cannot be used: {shown(key_problem(key) or '')}"
    if key.kind == "folder":  # the files in it follow
        return f"{shown(path_text(key.path))}: {key_contents(key)}"
    if not key.matches:
        return f"{_key(key)} matches no connection in this capture"
    return f"{_key(key)} is the right key for {count(len(key.matches), 'connection')}, but {_why_idle(key, analysis)}"


def _why_idle(key: KeyFile, analysis: Analysis) -> str:
    """Why the right key decrypted none of the connections that it matches."""
    matched = frozenset(key.matches)
    reasons = Counter(c.decryption.reason for c in analysis.connections if c.id in matched and c.decryption.reason)
    them = "it" if len(matched) == 1 else "them"
    if not reasons:
        return f"there was nothing to decrypt on {them}"
    if set(reasons) == {"forward-secrecy"}:
        return f"forward secrecy means it cannot decrypt {them}"
    whys = "; ".join(REASON_WORDS[reason] for reason, _ in reasons.most_common())
    return f"it could not decrypt {them} ({whys})"
