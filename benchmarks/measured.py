"""Runs one command and says how long it took and how much memory: measured.py OUTPUT COMMAND...

A separate process, because Linux counts the memory of the starting process as the program's until it has begun:
a large parent would hide a small child. Prints one JSON object; the command's standard output goes to OUTPUT.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    """Run the command; 0 whatever its own exit status, which is in the JSON."""
    output, *command = sys.argv[1:]
    actions = [(os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)]
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    answer = {
        "seconds": seconds,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * unit,
        "status": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
