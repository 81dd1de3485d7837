"""Messages on standard error: one line each, with control characters escaped."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """Write ``easpcap: text`` to standard error, if there is one."""
    from easpcap.report.escape import shown

    line = f"easpcap: {shown(text)}\n"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        encoding = sys.stderr.encoding or "ascii"
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
