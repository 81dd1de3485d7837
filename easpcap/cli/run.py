"""What the commands share: read the inputs, analyse, write, and return the exit status."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from easpcap.cli import inputs, status
from easpcap.cli.messages import say
from easpcap.cli.output import check_output, write_output
from easpcap.cli.progress import progress_bar
from easpcap.errors import EaspcapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from easpcap.cli.options import Options
    from easpcap.results import Analysis
    from easpcap.tls.secrets.session_secrets import SessionSecrets

#: Most objects live until the end, so frequent collections would find nothing.
_OBJECTS_BETWEEN_COLLECTIONS = 500_000

#: How long a thread may keep the others waiting. An RSA operation takes a fraction of Python's default of 5 ms.
_SWITCH_SECONDS = 0.0005


def guarded(work: Callable[[], int], *, debug: bool) -> int:
    """The exit status of ``work``; an error becomes a status and one line on standard error.

    ``debug``: print the traceback of an internal error as well.
    """
    try:
        return work()
    except EaspcapError as error:
        say(str(error))
        return status.UNUSABLE
    except KeyboardInterrupt:
        return status.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last resort: no traceback unless asked for
        _report_internal_error(error, debug=debug)
        return status.UNUSABLE


def _report_internal_error(error: Exception, *, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    say(f"internal error: {text}" + ("" if debug else "; run again with --debug"))


def write_analysis(
    options: Options,
    render: Callable[[Analysis], Iterator[str]],
    *,
    even_without_usable_key: bool = False,
    shows_findings: bool = True,
    session_secrets: SessionSecrets | None = None,
) -> int:
    """Analyse the captures of ``options``, write what ``render`` yields, and return the exit status.

    ``even_without_usable_key``: write the output also if none of the key files can be used. ``shows_findings``: False
    where the output has none; they are then looked for only if the exit status depends on them. ``session_secrets``:
    collects the secrets of the TLS sessions.
    """
    _keep_numpy_single_threaded()
    options = _expanded(options)
    check_output(options.output, _inputs(options))
    diagnosis = shows_findings or options.fail_on is not None
    analysis = _analyse(options, diagnosis=diagnosis, session_secrets=session_secrets)
    outcome = status.exit_status(analysis, options)
    _report_bad_keys(analysis, outcome)
    if outcome != status.UNUSABLE or even_without_usable_key:
        write_output(render(analysis), options.output)
    return outcome


def _expanded(options: Options) -> Options:
    """The options with the files that patterns and folders stand for."""
    return replace(
        options,
        traces=inputs.captures(options.traces),
        keys=inputs.keys(options.keys),
        key_logs=inputs.keys(options.key_logs),
    )


def _inputs(options: Options) -> list[str]:
    """Every file that is read, so that none of them is overwritten."""
    paths = [*options.traces, *options.keys, *options.key_logs]
    paths += [options.password_file] if options.password_file is not None else []
    return paths + inputs.files_in_folders([*options.keys, *options.key_logs])


def _report_bad_keys(analysis: Analysis, outcome: int) -> None:
    prefix = "" if outcome == status.UNUSABLE else "warning: "
    for key in analysis.keys:
        if key.problem is not None:
            from easpcap.report.key_text import key_problem

            say(f"{prefix}{key.path}: {key_problem(key)}")


def _keep_numpy_single_threaded() -> None:
    """Nothing uses numpy's linear algebra, and starting its threads takes time."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _tune_interpreter() -> None:
    """Collect garbage from here on, without the modules just loaded, and switch between threads more often."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()


def _analyse(options: Options, *, diagnosis: bool, session_secrets: SessionSecrets | None) -> Analysis:
    password = inputs.read_password(options.password_file)
    from easpcap.pipeline import analyze

    _tune_interpreter()
    with progress_bar(options.traces) as progress:
        return analyze(
            options.traces,
            keys=options.keys,
            key_logs=options.key_logs,
            password=password,
            digest=options.digest,
            diagnosis=diagnosis,
            session_secrets=session_secrets,
            progress=progress,
        )
