"""Replay: the captures of an analysis as one pcapng, with the secrets that decrypt it in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.capture import open_capture
from easpcap.verify.pcapng import PacketWriter, secrets_blocks, section
from easpcap.verify.tshark import SecondOpinionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.tls.secrets.session_secrets import SessionSecrets


class Replay:
    """Captures in the order of their frames: each with its path, and its SHA-256 when it was analyzed."""

    def __init__(self, captures: Sequence[tuple[str, str]], secrets: SessionSecrets) -> None:
        self._captures = captures
        self._secrets = secrets

    def pieces(self) -> Iterator[bytes]:
        """The pcapng, piece by piece. It can be read several times.

        Raises:
            CaptureError: a capture cannot be read.
            SecondOpinionError: a capture has changed.
        """
        yield section()
        yield from secrets_blocks(self._secrets.key_log_lines())
        writer = PacketWriter()
        for path, expected in self._captures:
            capture = open_capture(path)
            for buffer, packets in capture.packets_as_captured():
                yield b"".join(writer.write(buffer, packets))
            if capture.sha256 != expected:
                msg = f"{path}: the file has changed since it was analyzed; verify a copy of it"
                raise SecondOpinionError(msg)
