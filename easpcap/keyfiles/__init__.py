"""Key files and key logs from disk into a KeyRing. A file that cannot be used is named as what it is, and why.

What a file is, is read from its contents, never from its name: PEM (in any text encoding, with anything around it),
DER, PKCS #12, base64 of these, key logs, and the things people give by mistake.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import easpcap.limits as limits
from easpcap.errors import KeyFileError
from easpcap.keyfiles.names import WANTED
from easpcap.keyfiles.pem import bare_base64, certificate_of, holds_pem, pem_blocks
from easpcap.keyfiles.private import rsa_key
from easpcap.keyfiles.reading import files_in, read_file
from easpcap.results import KeyFile
from easpcap.tls.secrets.key_log import decode_text, looks_like_key_log
from easpcap.tls.secrets.keyring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["load_keys"]


def load_keys(
    paths: Sequence[str | Path], *, key_logs: Sequence[str | Path] = (), password: bytes | None = None
) -> tuple[KeyRing, list[KeyFile]]:
    """Read private keys and key logs; each file is recognised by its contents, wherever it is named.

    Returns the ring and one KeyFile for each path, keys before key logs; a KeyFile's place in the list is the source
    number of its secrets. A file that cannot be used has ``error`` and the kind "unusable" (and, where it is a
    certificate, the fingerprint of the key that is missing); nothing is raised. Of a
    folder every usable file is loaded, not those of folders in it: its own KeyFile, of the kind "folder", counts them,
    and theirs follow.
    """
    ring = KeyRing()
    files: list[KeyFile] = []
    for path, expect_log in [*((path, False) for path in paths), *((path, True) for path in key_logs)]:
        if _is_folder(path):
            files += _load_folder(ring, Path(path), len(files), password)
        else:
            files.append(_load(ring, path, len(files), password, expect_log=expect_log))
    return ring, files


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except ValueError:  # a null byte in the name
        return False


def _load_folder(ring: KeyRing, folder: Path, source: int, password: bytes | None) -> list[KeyFile]:
    """The folder and its usable files. The others are no fault: a folder may hold anything."""
    try:
        paths = files_in(folder)
    except KeyFileError as error:
        return [KeyFile(str(folder), "unusable", None, "", error=str(error))]
    usable: list[KeyFile] = []
    closed = 0
    for path in paths:
        file = _load(ring, path, source + 1 + len(usable), password, expect_log=False)
        if file.kind != "unusable":
            usable.append(file)
        elif ", encrypted" in (file.error or ""):
            closed += 1
    detail = f"{len(usable)} of {len(paths)} file{'s' * (len(paths) != 1)} usable"
    detail += f", {closed} encrypted under another password" * (closed > 0)
    if not usable:
        fault = f"a folder without a usable key or key log ({detail}): {WANTED}"
        return [KeyFile(str(folder), "unusable", None, "", error=fault)]
    return [KeyFile(str(folder), "folder", None, detail), *usable]


def _load(ring: KeyRing, path: str | Path, source: int, password: bytes | None, *, expect_log: bool) -> KeyFile:
    try:
        file = _recognise(ring, read_file(Path(path), expect_log=expect_log), source, password, expect_log=expect_log)
    except KeyFileError as error:
        file = KeyFile("", "unusable", None, "", error=str(error))
    file.path = str(path)
    return file


def _recognise(ring: KeyRing, data: bytes, source: int, password: bytes | None, *, expect_log: bool) -> KeyFile:
    if not data.strip():
        raise KeyFileError("empty" + (": nothing was logged; is SSLKEYLOGFILE set where the client runs?" * expect_log))
    text = decode_text(data)
    if holds_pem(text):
        return _load_private_keys(ring, source, pem_blocks(text), password)
    if len(data) > 1 and data[0] == 0x30 and (data[1] >= 0x80 or data[1] + 2 == len(data)):  # DER, no digit 0
        return _load_private_keys(ring, source, [("", data)], password)
    if looks_like_key_log(data):
        return _load_key_log(ring, source, data)
    der = bare_base64(text)
    if der is not None:
        return _load_private_keys(ring, source, [("", der)], password)
    if expect_log:
        return _load_key_log(ring, source, data)
    msg = f"neither a key nor a key log: {WANTED}"
    raise KeyFileError(msg)


def _load_key_log(ring: KeyRing, source: int, data: bytes) -> KeyFile:
    usable, bad = ring.add_key_log(data, source)
    detail = f"{usable:,} secret{'s' * (usable != 1)}"
    if usable:
        return KeyFile("", "key-log", None, detail, error=_complaint(bad) if bad else None)
    if bad:
        msg = f"no key log: none of its lines is a secret; {_complaint(bad)}"
        raise KeyFileError(msg)
    raise KeyFileError("a key log without secrets: did the client write to it, and was it copied after the capture?")


def _complaint(bad: list[tuple[int, str]]) -> str:
    """The lines of a key log that cannot be used, by the first of them."""
    number, reason = bad[0]
    count = f"{len(bad)}{' or more' * (len(bad) >= limits.MAX_KEY_LOG_COMPLAINTS)}"
    return f"{count} line{'s' * (len(bad) != 1)} cannot be used; line {number}: {reason}"


def _load_private_keys(ring: KeyRing, source: int, blocks: list[tuple[str, bytes]], password: bytes | None) -> KeyFile:
    """Add every RSA key of a file's (PEM label, bytes) blocks; "" labels DER. What is no such key is only named."""
    keys: list[RSAPrivateKey] = []
    unusable_keys: list[str] = []
    others: list[str] = []
    for label, data in blocks:
        try:
            keys.append(rsa_key(label, data, password))
        except KeyFileError as error:
            (unusable_keys if not label or label.endswith("PRIVATE KEY") else others).append(str(error))
    if not keys:  # beside a key's fault, a certificate is no news; yet whose it is may help
        return KeyFile("", "unusable", certificate_of(blocks), "", error=(unusable_keys + others)[0])
    fingerprints = [ring.add_private_key(key, source) for key in keys]
    detail = ", ".join(f"RSA {key.key_size}" for key in keys)
    complaint = f"one of its keys cannot be used: {unusable_keys[0]}" if unusable_keys else None
    return KeyFile("", "rsa-private-key", fingerprints[0], detail, error=complaint)
