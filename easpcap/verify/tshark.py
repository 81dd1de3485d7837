"""Finds tshark, and runs it on a capture given through its standard input."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from easpcap.capture.tshark import HOW_TO_INSTALL, tshark_environment, tshark_path
from easpcap.errors import EaspcapError
from easpcap.limits import TSHARK_STALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import IO, Self

#: The first version that takes secrets from a pcapng file and calls the protocol TLS.
OLDEST: Final = (3, 0)

_READ_BYTES: Final = 256 * 2**10


class SecondOpinionError(EaspcapError):
    """tshark is absent, too old, or failed."""


class Tshark(NamedTuple):
    """An installed tshark."""

    path: str
    version: tuple[int, int, int]

    @property
    def version_text(self) -> str:
        """For example "4.0.17"."""
        return ".".join(map(str, self.version))


def find_tshark() -> Tshark:
    """The tshark of this computer.

    Raises:
        SecondOpinionError: it is not installed or too old; the message says how to get it.
    """
    path = tshark_path()
    if path is None:
        msg = f"verify needs tshark {_dotted(OLDEST)} or newer, which is part of Wireshark: {HOW_TO_INSTALL}"
        raise SecondOpinionError(msg)
    version = _version(path)
    if version < OLDEST:
        msg = f"{path} is version {_dotted(version)}, and verify needs {_dotted(OLDEST)} or newer: {HOW_TO_INSTALL}"
        raise SecondOpinionError(msg)
    return Tshark(path, version)


def _version(path: str) -> tuple[int, int, int]:
    try:
        said = subprocess.run(  # noqa: S603  # the path is that of an installed program
            [path, "--version"], capture_output=True, timeout=60, check=False, env=tshark_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{path} cannot be run: {error}; {HOW_TO_INSTALL}"
        raise SecondOpinionError(msg) from error
    match = re.search(rb"\b(\d+)\.(\d+)\.(\d+)", said.stdout.partition(b"\n")[0])
    if match is None:
        msg = f"{path} does not say which version it is; {HOW_TO_INSTALL}"
        raise SecondOpinionError(msg)
    major, minor, patch = map(int, match.groups())
    return major, minor, patch


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


class TsharkRun:
    """One run of tshark, as a context: ``output`` yields what it prints. It is killed when the context ends.

    ``pieces`` is the capture, which another thread writes to tshark's standard input.
    """

    def __init__(self, tshark: Tshark, arguments: Sequence[str], pieces: Callable[[], Iterable[bytes]]) -> None:
        self._command = [tshark.path, "-n", "-r", "-", *arguments]
        self._pieces = pieces
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._stalled = False
        self._progress = 0
        self._complaint = b""

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(  # noqa: S603  # no shell; the capture only comes through the pipe
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, env=tshark_environment()
            )
        except OSError as error:
            msg = f"{self._command[0]} cannot be run: {error.strerror or error}"
            raise SecondOpinionError(msg) from error
        self._threads = [
            threading.Thread(target=work, name=f"tshark-{work.__name__}", daemon=True)
            for work in (self._feed, self._read_complaints, self._watch)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def output(self) -> Iterator[bytes]:
        """What tshark prints, piece by piece.

        Raises:
            SecondOpinionError: tshark failed or stalled.
        """
        stdout = self._process.stdout
        while stdout is not None and (piece := os.read(stdout.fileno(), _READ_BYTES)):
            self._progress += 1
            yield piece
        status = self._process.wait()
        self._threads[0].join()
        if self._failure is not None:
            raise self._failure
        if self._stalled:
            msg = (
                f"tshark did nothing for {TSHARK_STALL_SECONDS} s and was stopped; verify smaller parts of the capture"
            )
            raise SecondOpinionError(msg)
        if status != 0:
            self._threads[1].join()
            last = self._complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
            msg = f"tshark failed with status {status} ({''.join(last)[:200]}); update Wireshark and try again"
            raise SecondOpinionError(msg)

    # -- threads -------------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            for piece in self._pieces():
                if self._ended.is_set():
                    break
                stdin.write(piece)
                self._progress += 1
        except OSError:
            pass  # tshark has ended; its exit status says why
        except BaseException as error:  # noqa: BLE001  # raised in the thread that reads the output
            self._failure = error
        finally:
            with contextlib.suppress(OSError):
                stdin.close()

    def _read_complaints(self) -> None:
        """Keep the end of what tshark prints on standard error, which must be read lest tshark waits."""
        stderr: IO[bytes] | None = self._process.stderr
        while stderr is not None and (piece := os.read(stderr.fileno(), _READ_BYTES)):
            self._complaint = (self._complaint + piece)[-4096:]

    def _watch(self) -> None:
        """Kill tshark when it makes no progress."""
        seen, idle = -1, 0
        while not self._ended.wait(1):
            if self._process.poll() is not None:
                return
            idle = idle + 1 if self._progress == seen else 0
            seen = self._progress
            if idle >= TSHARK_STALL_SECONDS:
                self._stalled = True
                self._process.kill()
                return
