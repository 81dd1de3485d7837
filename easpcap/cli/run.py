"""What every command does: read the inputs, analyse, write, and say by the exit status how it went."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from easpcap.cli import status
from easpcap.cli.inputs import expanded, files_in_folders, read_password
from easpcap.cli.messages import say
from easpcap.cli.output import check_output, write_output
from easpcap.cli.progress import progress_bar
from easpcap.errors import EaspcapError

if TYPE_CHECKING:
    from easpcap.cli.options import Options, Render
    from easpcap.results import Analysis

#: Most of what is found stays until the end: searching it for garbage more often would be idle.
_OBJECTS_BETWEEN_COLLECTIONS = 200_000

#: How long a thread may keep the others waiting. An RSA operation takes a fraction of Python's own five milliseconds.
_SWITCH_SECONDS = 0.0005


def run(render: Render, options: Options, *, tells_of_keys: bool = False) -> int:
    """Run one command; whatever happens ends in an exit status and at most a line on standard error.

    ``tells_of_keys``: its output is about the key files, and is written even where none of them can be used.
    """
    try:
        return _run(render, options, tells_of_keys=tells_of_keys)
    except EaspcapError as error:
        say(str(error))
        return status.UNUSABLE
    except KeyboardInterrupt:
        return status.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last resort: no traceback unless asked for
        if options.debug:
            import traceback

            traceback.print_exc()
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        say(f"internal error: {text}" + ("" if options.debug else "; run again with --debug"))
        return status.UNUSABLE


def _run(render: Render, options: Options, *, tells_of_keys: bool) -> int:
    options = options._replace(traces=tuple(expanded(options.traces)))
    inputs = [*options.traces, *options.keys, *options.key_logs]
    inputs += [options.password_file] if options.password_file is not None else []
    inputs += files_in_folders([*options.keys, *options.key_logs])
    check_output(options.output, inputs)
    analysis = _analyzed(options)
    outcome = status.exit_status(analysis, options)
    for key in analysis.keys:
        if key.error is None:
            continue
        say(f"{'' if outcome == status.UNUSABLE else 'warning: '}{key.path}: {key.error}")
    if outcome != status.UNUSABLE or tells_of_keys:
        write_output(render(analysis, options), options.output)
    return outcome


def _spare_the_start() -> None:
    """Nothing is computed with numpy's linear algebra; its threads would only take time to start."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _set_the_pace() -> None:
    """Collect garbage from here on, without looking at what was loaded; let the threads beside the reading breathe."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()


def _analyzed(options: Options) -> Analysis:
    password = read_password(options.password_file)
    _spare_the_start()
    from easpcap.pipeline import analyze

    _set_the_pace()
    with progress_bar(options.traces) as progress:
        return analyze(
            options.traces,
            keys=options.keys,
            key_logs=options.key_logs,
            password=password,
            digest=options.digest,
            progress=progress,
        )
