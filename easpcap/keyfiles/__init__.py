"""Loads key files and key logs from disk into a KeyRing; a file that cannot be used is reported with the reason.

A file is recognised by its contents, never by its name or by the label of PEM: PEM (in any text encoding, with anything
around it), DER, PKCS #12, base64 of these anywhere in a text, key logs, and the things people give by mistake.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from easpcap.key_problems import FolderContents, KeyProblem, UnusableLines
from easpcap.keyfiles.blocks import certificate_of, der_blocks, key_blocks
from easpcap.keyfiles.contents import UnusableKeyError
from easpcap.keyfiles.cost import WorkBudget
from easpcap.keyfiles.pem import holds_pem
from easpcap.keyfiles.private import rsa_keys
from easpcap.keyfiles.reading import files_in, read_file
from easpcap.results import KeyFile
from easpcap.tls.secrets.key_log import decode_text, looks_like_key_log
from easpcap.tls.secrets.keyring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easpcap.keyfiles.pem import Block

__all__ = ["load_keys"]

#: Problems of encrypted files.
_LOCKED = frozenset({"password-missing", "password-wrong", "cipher-unsupported", "password-too-slow"})


class _Unlocking(NamedTuple):
    """The password for all files, and how much work may be spent on trying it."""

    password: bytes | None
    budget: WorkBudget

    def __repr__(self) -> str:
        return "_Unlocking()"


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
    unlocking = _Unlocking(password, WorkBudget())
    files: list[KeyFile] = []
    for path, expect_log in [*((path, False) for path in paths), *((path, True) for path in key_logs)]:
        if _is_folder(path):
            files += _load_folder(ring, Path(path), len(files), unlocking)
        else:
            files.append(_load(ring, path, len(files), unlocking, expect_log=expect_log))
    return ring, files


def _is_folder(path: str | Path) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name that is too long, a null byte in the name
        return False


def _load_folder(ring: KeyRing, folder: Path, source: int, unlocking: _Unlocking) -> list[KeyFile]:
    """The folder and its usable files. The others are no fault: a folder may hold anything."""
    try:
        paths = files_in(folder)
    except UnusableKeyError as error:
        return [_unusable(error.problem, str(folder))]
    usable: list[KeyFile] = []
    locked = 0
    for path in paths:
        file = _load(ring, path, source + 1 + len(usable), unlocking, expect_log=False)
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


def _load(ring: KeyRing, path: str | Path, source: int, unlocking: _Unlocking, *, expect_log: bool) -> KeyFile:
    try:
        file = _recognise(ring, read_file(Path(path), expect_log=expect_log), source, unlocking, expect_log=expect_log)
    except UnusableKeyError as error:
        file = _unusable(error.problem)
    file.path = str(path)
    return file


def _recognise(ring: KeyRing, data: bytes, source: int, unlocking: _Unlocking, *, expect_log: bool) -> KeyFile:
    if not data.strip():
        raise UnusableKeyError(KeyProblem("empty-key-log" if expect_log else "empty"))
    blocks = der_blocks(data)
    if not blocks and not holds_pem(decode_text(data)) and looks_like_key_log(data):
        return _load_key_log(ring, source, data)
    blocks = blocks or key_blocks(data)
    if blocks:
        return _load_private_keys(ring, source, blocks, unlocking)
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


def _load_private_keys(ring: KeyRing, source: int, blocks: list[Block], unlocking: _Unlocking) -> KeyFile:
    """Add every RSA key in the blocks of a file."""
    budget = unlocking.budget.for_file()
    found = [key for block in blocks for key in rsa_keys(block, unlocking.password, budget)]
    problems = [key for key in found if isinstance(key, KeyProblem)]
    of_keys = [problem for problem in problems if _is_about_a_key(problem)]
    keys = [key for key in found if not isinstance(key, KeyProblem)]
    if not keys:  # a key that cannot be used matters more than a certificate beside it
        return _unusable((of_keys + problems)[0], fingerprint=certificate_of(blocks))
    fingerprints = [ring.add_private_key(key, source) for key in keys]
    return KeyFile(
        "",
        "rsa-private-key",
        fingerprints[0],
        rsa_bits=tuple(key.key_size for key in keys),
        problem=of_keys[0] if of_keys else None,
    )


def _is_about_a_key(problem: KeyProblem) -> bool:
    return problem.code != "other-contents" or (problem.contents or "").endswith("private-key")
