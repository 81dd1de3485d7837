"""A progress bar on standard error, shown on a terminal only and for large captures only."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_WORTH_SHOWING = 20 * 2**20  # bytes; less is read within a second


@contextlib.contextmanager
def progress_bar(traces: Sequence[str]) -> Iterator[Callable[[int, int | None], None] | None]:
    """The callback that analyze() reports its progress to, or None if no bar is shown."""
    if not _wanted(traces):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("Reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("Reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _wanted(traces: Sequence[str]) -> bool:
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    with contextlib.suppress(OSError):
        return "-" in traces or sum(Path(trace).stat().st_size for trace in traces) >= _WORTH_SHOWING
    return False
