"""analyze(): capture files and key files in, an Analysis out."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from easpcap.capture import CaptureSet
from easpcap.key_problems import KeyProblem, UnusableLines
from easpcap.keyfiles import load_keys
from easpcap.pipeline.analyzer import Analyzer
from easpcap.pipeline.judge import judge
from easpcap.pipeline.renumber import renumber
from easpcap.pipeline.set_anomalies import clock_step_words, set_anomalies
from easpcap.results import InputFile, KeyFile, LocatedAnomaly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from easpcap.capture import Capture
    from easpcap.capture.member import Member
    from easpcap.pipeline.partial import Partial
    from easpcap.results import Analysis
    from easpcap.tls.secrets.session_secrets import SessionSecrets

    Progress = Callable[[int, int | None], None]


def analyze(
    paths: Sequence[str],
    *,
    keys: Sequence[str] = (),
    key_logs: Sequence[str] = (),
    password: bytes | None = None,
    digest: bool = False,
    diagnosis: bool = True,
    session_secrets: SessionSecrets | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Analyze captures as one, in the order of their times.

    Args:
        paths: capture files; "-" is standard input.
        keys: private key files.
        key_logs: NSS key log files (RFC 9850).
        password: of encrypted key files.
        digest: whether to hash the application data of each direction.
        diagnosis: False leaves out the findings, where nobody reads them.
        session_secrets: collects the secrets of the TLS sessions that were found.
        progress: called after every batch with (bytes read, total bytes or None).

    Raises:
        CaptureError: a capture cannot be read at all.
    """
    keyring, key_files = load_keys(keys, key_logs=key_logs, password=password)
    analyzer = Analyzer(keyring, digest=digest, session_secrets=session_secrets)
    reader = _Reader(analyzer, key_files, CaptureSet(paths))
    partial = reader.read(progress, _total_size(paths))
    return judge(
        partial,
        reader.inputs(),
        reader.keys,
        file_anomalies=reader.anomalies(),
        packets_ignored=reader.ignored(),
        diagnosis=diagnosis,
    )


class _Reader:
    """Feeds a set of captures to an analyzer, and collects the facts about the files."""

    def __init__(self, analyzer: Analyzer, keys: list[KeyFile], captures: CaptureSet) -> None:
        self.keys = keys  # and the key logs inside the captures
        self._analyzer = analyzer
        self._captures = captures
        self._secrets_taken: dict[str, int] = {}
        self._secrets_known: set[bytes] = set()  # digests: the files of a ring buffer may repeat them

    def read(self, progress: Progress | None, total: int | None) -> Partial:
        """Read all captures; the results have final frame numbers."""
        captures = self._captures
        for batch in captures:
            self._take_secrets()
            self._analyzer.feed(batch)
            if progress is not None:
                progress(captures.bytes_read, total)
        self._take_secrets()
        partial = self._analyzer.finish()
        if captures.renumbers:
            renumber(partial, captures.final_frame)
        return partial

    def _take_secrets(self) -> None:
        """Add the key logs inside the captures (pcapng Decryption Secrets Blocks) that came since the last call."""
        for capture in self._captures.opened:
            taken = self._secrets_taken.get(capture.path, 0)
            for secret in capture.secrets[taken:]:
                digest = sha256(secret).digest()
                if digest not in self._secrets_known:
                    self._secrets_known.add(digest)
                    self._add_key_log(capture.path, secret)
            self._secrets_taken[capture.path] = len(capture.secrets)

    def _add_key_log(self, path: str, secret: bytes) -> None:
        usable, unusable = self._analyzer.keyring.add_key_log(secret, len(self.keys))
        key_log = KeyFile(path, "embedded-key-log", secrets=usable)
        if unusable:
            key_log.problem = KeyProblem("unusable-lines", lines=UnusableLines(len(unusable), *unusable[0]))
        self.keys.append(key_log)

    def inputs(self) -> list[InputFile]:
        """The captures in the order of their first packets."""
        return [self._input(*numbered) for numbered in self._captures.numbered]

    def _input(self, member: Member, capture: Capture, first_frame: int) -> InputFile:
        return InputFile(
            path=member.path,
            sha256=capture.sha256,
            format=capture.format,
            link_types=capture.link_types,
            packets=capture.packets,
            first_time=capture.first_time,
            last_time=capture.last_time,
            truncated=capture.truncated,
            first_frame=first_frame,
            clock_offset=member.clock_offset,
            copies=self._captures.copies(member),
            clock_steps=tuple(capture.clock.steps),
            clock_end=capture.clock.end,
            damaged_places=capture.damaged_places,
            unread_bytes=capture.unread_bytes,
            dropped_packets=capture.dropped,
            large_segments=capture.large_segments,
        )

    def anomalies(self) -> list[LocatedAnomaly]:
        """What is odd about the files themselves."""
        final = self._captures.final_frame
        found = [
            LocatedAnomaly(code, None, final(frame), None, detail)
            for capture in self._different()
            for code, frame, detail in capture.anomalies
        ]
        found += [
            LocatedAnomaly("clock-step", None, first_frame + step.number - 1, None, clock_step_words(step.back_ns))
            for _, capture, first_frame in self._captures.numbered
            for step in capture.clock.steps
        ]
        return found + [
            LocatedAnomaly(code, None, frame, None, detail) for code, frame, detail in set_anomalies(self._captures)
        ]

    def _different(self) -> list[Capture]:
        """The captures without copies of whole files."""
        by_content = {capture.sha256: capture for capture in reversed(self._captures.opened)}
        return [capture for capture in self._captures.opened if by_content[capture.sha256] is capture]

    def ignored(self) -> dict[str, int]:
        """How many packets were not read, by reason."""
        total: Counter[str] = Counter()
        for capture in self._different():
            total.update(capture.ignored)
        return dict(total)


def _total_size(paths: Sequence[str]) -> int | None:
    try:
        return sum(Path(path).stat().st_size for path in paths)
    except OSError:  # standard input, or a file that open_capture will reject
        return None
