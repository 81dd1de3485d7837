"""Loads key files and key logs from disk into a KeyRing; a file that cannot be used is reported with the reason.

A file is recognised by its contents, never by its name: PEM (in any text encoding, with anything around it), DER,
PKCS #12, base64 of these, key logs, and the things people give by mistake.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.key_problems import FolderContents, KeyProblem, UnusableLines
from easpcap.keyfiles.contents import UnusableKeyError
from easpcap.keyfiles.cost import WorkBudget
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

#: Problems of encrypted files.
_LOCKED = frozenset({"password-missing", "password-wrong", "cipher-unsupported", "password-too-slow"})


def load_keys(
    paths: Sequence[str | Path], *, key_logs: Sequence[str | Path] = (), password: bytes | None = None
) -> tuple[KeyRing, list[KeyFile]]:
    """Read private keys and key logs; each file is recognised by its contents, whichever list it is in.

    Returns the ring and one KeyFile for each path, keys before key logs; a KeyFile's place in the list is the source
    number of its secrets. A file that cannot be used has a ``problem`` and the kind "unusable" (and, where it is a
    certificate, the fingerprint of the key that is missing); nothing is raised. Every usable file in a folder is
    loaded, but not those in folders below it: the KeyFile of the folder counts them, and theirs follow.
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
    except (OSError, ValueError):  # a name that is too long, a null byte in the name
        return False


def _load_folder(ring: KeyRing, folder: Path, source: int, password: bytes | None) -> list[KeyFile]:
    """The folder and its usable files. The others are no fault: a folder may hold anything."""
    try:
        paths = files_in(folder)
    except UnusableKeyError as error:
        return [_unusable(error.problem, str(folder))]
    usable: list[KeyFile] = []
    locked = 0
    for path in paths:
        file = _load(ring, path, source + 1 + len(usable), password, expect_log=False)
        if file.kind != "unusable":
            usable.append(file)
        elif file.problem is not None and file.problem.code in _LOCKED:
            locked += 1
    contents = FolderContents(len(paths), len(usable), locked)
    if not usable:
        return [_unusable(KeyProblem("no-usable-file", folder=contents), str(folder))]
    return [KeyFile(str(folder), "folder", folder=contents), *usable]


def _unusable(problem: KeyProblem, path: str = "", fingerprint: str | None = None) -> KeyFile:
    return KeyFile(path, "unusable", fingerprint, problem=problem)


def _load(ring: KeyRing, path: str | Path, source: int, password: bytes | None, *, expect_log: bool) -> KeyFile:
    try:
        file = _recognise(ring, read_file(Path(path), expect_log=expect_log), source, password, expect_log=expect_log)
    except UnusableKeyError as error:
        file = _unusable(error.problem)
    file.path = str(path)
    return file


def _recognise(ring: KeyRing, data: bytes, source: int, password: bytes | None, *, expect_log: bool) -> KeyFile:
    if not data.strip():
        raise UnusableKeyError(KeyProblem("empty-key-log" if expect_log else "empty"))
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
    raise UnusableKeyError(KeyProblem("unrecognised"))


def _load_key_log(ring: KeyRing, source: int, data: bytes) -> KeyFile:
    usable, unusable = ring.add_key_log(data, source)
    problem = None
    if unusable:
        problem = KeyProblem("unusable-lines", lines=UnusableLines(len(unusable), *unusable[0]))
    if not usable:
        raise UnusableKeyError(problem or KeyProblem("no-secrets"))
    return KeyFile("", "key-log", secrets=usable, problem=problem)


def _load_private_keys(ring: KeyRing, source: int, blocks: list[tuple[str, bytes]], password: bytes | None) -> KeyFile:
    """Add every RSA key of a file's (PEM label, bytes) blocks; "" labels DER."""
    keys: list[RSAPrivateKey] = []
    unusable_keys: list[KeyProblem] = []
    others: list[KeyProblem] = []
    budget = WorkBudget()
    for label, data in blocks:
        try:
            keys.append(rsa_key(label, data, password, budget))
        except UnusableKeyError as error:
            (unusable_keys if not label or label.endswith("PRIVATE KEY") else others).append(error.problem)
    if not keys:  # a key that cannot be used matters more than a certificate beside it
        return _unusable((unusable_keys + others)[0], fingerprint=certificate_of(blocks))
    fingerprints = [ring.add_private_key(key, source) for key in keys]
    return KeyFile(
        "",
        "rsa-private-key",
        fingerprints[0],
        rsa_bits=tuple(key.key_size for key in keys),
        problem=unusable_keys[0] if unusable_keys else None,
    )
