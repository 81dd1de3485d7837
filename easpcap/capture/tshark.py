"""Captures that only Wireshark reads, converted to pcapng by its tshark, on pipes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from easpcap.capture.source import Source
from easpcap.errors import CaptureError
from easpcap.limits import MAX_TSHARK_MESSAGES, MAX_TSHARK_SILENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from typing import IO, BinaryIO

    from easpcap.capture.source import Stream

#: Where Wireshark's installers put tshark without adding it to PATH.
INSTALLED: Final = {
    "win32": tuple(rf"%{root}%\Wireshark\tshark.exe" for root in ("ProgramFiles", "ProgramW6432", "ProgramFiles(x86)")),
    "darwin": ("/Applications/Wireshark.app/Contents/MacOS/tshark",),
}
#: How to get it, for an error message.
HOW_TO_INSTALL: Final = (
    "install Wireshark (Debian, Ubuntu: apt install tshark; Fedora: dnf install wireshark-cli; "
    "macOS: brew install wireshark; Windows: the installer of wireshark.org)"
)
#: Never inherited by tshark: it needs neither, and both may lead to secrets.
KEPT_BACK: Final = ("EASPCAP_PASSWORD", "SSLKEYLOGFILE")
PIECE_BYTES: Final = 64 * 2**10
#: How often the silence is measured, and how long a thread may take to end.
CHECK_S, JOIN_S = 1.0, 5.0
#: How tshark's complaints begin.
SAYS: Final = "tshark: "


def tshark_path() -> str | None:
    """Where tshark is installed, or None. One in the current folder, which may be that of the evidence, is never it."""
    for place in map(os.path.expandvars, INSTALLED.get(sys.platform, ())):
        if Path(place).is_absolute() and Path(place).is_file():
            return place
    found = shutil.which("tshark")
    if found is None or not Path(found).is_absolute() or Path(found).parent == Path.cwd():
        return None
    return found


def tshark_environment() -> dict[str, str]:
    """Without secrets, and without the preferences of the user, which could change what tshark reads."""
    kept = {name: value for name, value in os.environ.items() if name not in KEPT_BACK}
    nowhere = Path(tempfile.gettempdir()) / f"easpcap-no-preferences-{os.urandom(8).hex()}"
    return kept | {"WIRESHARK_CONFIG_DIR": str(nowhere)}


class TsharkStream:
    """A stream converted to pcapng by ``tshark``, which reads a plain file itself; anything else is piped to it."""

    def __init__(self, inner: Stream, source: Source, tshark: str) -> None:
        self._inner = inner
        self._process = _start(tshark, source.path if inner is source and source.reopenable else None)
        self._output = Source(cast("BinaryIO", self._process.stdout), hashed=False)
        self._messages = b""
        self._silent = False
        self._done = threading.Event()
        self._progress = monotonic()  # when bytes passed last
        self._waiting = False  # for tshark's output
        self._starving = False  # there is no input for tshark yet
        self._threads = [threading.Thread(target=work, name="tshark", daemon=True) for work in self._works()]
        for thread in self._threads:
            thread.start()

    @property
    def damage(self) -> str:
        """Why tshark stopped before the end; empty where it did not, or has not ended yet."""
        if self._silent:
            return f"tshark was stopped: it read and wrote nothing for {MAX_TSHARK_SILENCE_S} s"
        if self._process.poll():
            return f"tshark: {self.message or 'stopped with an error'}"
        return self._inner.damage

    @property
    def message(self) -> str:
        """The first line of what tshark says is wrong."""
        lines = self._messages.decode("utf-8", "replace").splitlines()
        return next((line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)), "")

    def peek(self) -> bytes:
        """The first bytes; they can still be read."""
        with self._wait_for_output():
            return self._output.peek()

    def read_into(self, view: memoryview) -> int:
        """See `Stream`."""
        if self._done.is_set():
            return 0
        with self._wait_for_output():
            size = self._output.read_into(view)
        if not size:
            self._end()
        return size

    def begin_window(self) -> None:
        """See `Stream`."""
        self._output.begin_window()

    def more_comes(self) -> bool:
        """See `Stream`."""
        return self._output.more_comes()

    def close(self) -> None:
        """Stop tshark, and close the inner stream."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._end()
        self._inner.close()

    def _works(self) -> list[Callable[[], None]]:
        """What threads do beside the one that reads the output."""
        works: list[Callable[[], None]] = [self._watch]
        if self._process.stderr is not None:
            works.append(partial(self._collect, cast("BufferedReader", self._process.stderr)))
        if self._process.stdin is not None:
            works.append(partial(self._feed, self._process.stdin))
        return works

    @contextlib.contextmanager
    def _wait_for_output(self) -> Iterator[None]:
        self._progress = monotonic()
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    def _end(self) -> None:
        """Wait until tshark has ended and its messages are read."""
        self._done.set()
        self._process.wait()
        for thread in self._threads:
            thread.join(JOIN_S)  # a pipe that never ends may still hold the one that reads it
        for file in (self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()

    def _feed(self, pipe: IO[bytes]) -> None:
        """Pass the inner stream to tshark."""
        view = memoryview(bytearray(PIECE_BYTES))
        with contextlib.suppress(OSError, ValueError, CaptureError), pipe:  # tshark may end before its input does
            while not self._done.is_set():
                self._starving = True
                self._inner.begin_window()
                size = self._inner.read_into(view)
                self._starving = False
                if not size:
                    break
                pipe.write(view[:size])
                pipe.flush()
                self._progress = monotonic()

    def _collect(self, pipe: BufferedReader) -> None:
        """Keep the first of tshark's messages, and let it write on."""
        with contextlib.suppress(OSError, ValueError):
            while piece := pipe.read1(MAX_TSHARK_MESSAGES):
                self._messages = (self._messages + piece)[:MAX_TSHARK_MESSAGES]

    def _watch(self) -> None:
        """Kill tshark where it neither reads nor writes although its output is waited for."""
        while not self._done.wait(CHECK_S):
            silence = monotonic() - self._progress
            if self._waiting and not self._starving and silence > MAX_TSHARK_SILENCE_S:
                self._silent = True
                self._process.kill()
                return


def _start(tshark: str, path: str | None) -> subprocess.Popen[bytes]:
    """Start tshark on a file, or on its standard input where ``path`` is None."""
    source = "-" if path is None else os.path.abspath(path)  # noqa: PTH100  # a name may begin with "-"
    return subprocess.Popen(  # noqa: S603  # without a shell
        [tshark, "-n", "-r", source, "-F", "pcapng", "-w", "-"],
        stdin=subprocess.PIPE if path is None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=tshark_environment(),
    )
