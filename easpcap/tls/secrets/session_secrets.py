"""SessionSecrets: collects the secrets of the sessions of an analysis, for a second tool that is to read the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.limits import MAX_CAPTURE_SECRETS_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator


class SessionSecrets:
    """The secret of each label (RFC 9850) and client random. Its ``repr`` shows only how many there are.

    A secret that decrypted a record replaces one that was only a candidate. When the lines would take more than
    ``limit`` bytes, further secrets are counted in ``dropped`` and not kept.
    """

    __slots__ = ("_bytes", "_limit", "_proven", "_secrets", "dropped")

    def __init__(self, limit: int = MAX_CAPTURE_SECRETS_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._secrets: dict[tuple[str, bytes], bytes] = {}
        self._proven: set[tuple[str, bytes]] = set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"SessionSecrets({len(self)} secrets)"

    def add(self, label: str, client_random: bytes, secret: bytes, *, proven: bool) -> None:
        """Keep a secret, unless one that is as good is known already."""
        key = label, client_random
        if key in self._proven or (key in self._secrets and not proven):
            return
        if key not in self._secrets:
            size = len(label) + 2 * len(client_random) + 2 * len(secret) + 3
            if self._bytes + size > self._limit:
                self.dropped += 1
                return
            self._bytes += size
        self._secrets[key] = secret
        if proven:
            self._proven.add(key)

    def key_log_lines(self) -> Iterator[bytes]:
        """The secrets as the lines of a key log (RFC 9850)."""
        for (label, client_random), secret in self._secrets.items():
            yield f"{label} {client_random.hex()} {secret.hex()}\n".encode("ascii")
