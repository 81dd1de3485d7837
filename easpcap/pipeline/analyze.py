"""analyze(): capture files and key files in, an Analysis out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.capture import first_packet_time, open_capture
from easpcap.key_problems import KeyProblem, UnusableLines
from easpcap.keyfiles import load_keys
from easpcap.pipeline.analyzer import Analyzer
from easpcap.pipeline.judge import judge
from easpcap.results import InputFile, KeyFile, LocatedAnomaly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.capture import Capture
    from easpcap.results import Analysis

    Progress = Callable[[int, int | None], None]


def analyze(
    paths: Sequence[str],
    *,
    keys: Sequence[str] = (),
    key_logs: Sequence[str] = (),
    password: bytes | None = None,
    digest: bool = False,
    diagnosis: bool = True,
    progress: Progress | None = None,
) -> Analysis:
    """Analyze captures, joined in the order of their first packets.

    Args:
        paths: capture files; "-" is standard input.
        keys: private key files.
        key_logs: NSS key log files (RFC 9850).
        password: of encrypted key files.
        digest: whether to hash the application data of each direction.
        diagnosis: False leaves out the findings, where nobody reads them.
        progress: called after every batch with (bytes read, total bytes or None).

    Raises:
        CaptureError: a capture cannot be read at all.
    """
    keyring, key_files = load_keys(keys, key_logs=key_logs, password=password)
    analyzer = Analyzer(keyring, digest=digest)
    reader = _Reader(analyzer, key_files, progress, _total_size(paths))
    for path in _by_first_packet(paths):
        reader.read(path)
    return judge(
        analyzer.finish(),
        reader.inputs,
        reader.keys,
        file_anomalies=reader.anomalies,
        packets_ignored=reader.ignored,
        diagnosis=diagnosis,
    )


class _Reader:
    """Feeds captures to an analyzer one after the other, and collects the facts about the files."""

    def __init__(self, analyzer: Analyzer, keys: list[KeyFile], progress: Progress | None, total: int | None) -> None:
        self.keys = keys  # and the key logs inside the captures
        self.inputs: list[InputFile] = []
        self.anomalies: list[LocatedAnomaly] = []
        self.ignored: dict[str, int] = {}
        self._analyzer = analyzer
        self._progress = progress
        self._total = total
        self._next_frame = 1
        self._bytes_before = 0

    def read(self, path: str) -> None:
        capture = open_capture(path, first_frame=self._next_frame)
        secrets = 0
        for batch in capture:
            secrets = self._take_secrets(capture, secrets)
            self._analyzer.feed(batch)
            if self._progress is not None:
                self._progress(self._bytes_before + capture.bytes_read, self._total)
        self._take_secrets(capture, secrets)
        self._add_input(capture)

    def _take_secrets(self, capture: Capture, taken: int) -> int:
        """Add the key logs inside the capture (pcapng Decryption Secrets Blocks) from number ``taken`` on."""
        for secret in capture.secrets[taken:]:
            source = len(self.keys)
            usable, unusable = self._analyzer.keyring.add_key_log(secret, source)
            key_log = KeyFile(capture.path, "embedded-key-log", secrets=usable)
            if unusable:
                key_log.problem = KeyProblem("unusable-lines", lines=UnusableLines(len(unusable), *unusable[0]))
            self.keys.append(key_log)
        return len(capture.secrets)

    def _add_input(self, capture: Capture) -> None:
        """Record a capture that was read to its end: its facts, its anomalies and its ignored packets."""
        self.inputs.append(
            InputFile(
                path=capture.path,
                sha256=capture.sha256,
                format=capture.format,
                link_types=capture.link_types,
                packets=capture.packets,
                first_time=capture.first_time,
                last_time=capture.last_time,
                truncated=capture.truncated,
                first_frame=self._next_frame,
                damaged_places=capture.damaged_places,
                unread_bytes=capture.unread_bytes,
            )
        )
        self._next_frame += capture.packets
        self._bytes_before += capture.bytes_read
        self.anomalies.extend(
            LocatedAnomaly(code, None, frame, None, detail) for code, frame, detail in capture.anomalies
        )
        for reason, count in capture.ignored.items():
            self.ignored[reason] = self.ignored.get(reason, 0) + count


def _by_first_packet(paths: Sequence[str]) -> list[str]:
    """The captures in the order of their first packets; those without a packet last, ties in the given order."""
    if len(paths) < 2:
        return list(paths)
    times = [(first_packet_time(path), path) for path in paths]
    return [path for _, path in sorted(times, key=lambda item: (item[0] is None, item[0] or 0))]


def _total_size(paths: Sequence[str]) -> int | None:
    try:
        return sum(Path(path).stat().st_size for path in paths)
    except OSError:  # standard input, or a file that open_capture will reject
        return None
