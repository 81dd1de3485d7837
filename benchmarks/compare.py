"""easpcap and tshark doing the same job on the same capture, side by side.

    python benchmarks/compare.py                 tiny, mixed, small, bulk; five runs of each program
    python benchmarks/compare.py mixed --runs 9 --megabytes 400
    python benchmarks/compare.py --short         what `make bench` runs

The job: decrypt with the server's key and list every HTTP request (method, target) and status, by connection. Runs
alternate, medians are reported, and the output of every run is compared with what the generator put into the capture.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from generate import OUT, PRESETS
from peers import SERVER_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HERE = Path(__file__).resolve().parent

#: (connection, what): what is "method target" of a request, or a status.
Row = tuple[str, str]
Rows = tuple[list[Row], list[Row]]

#: What is reported of one program on one capture.
ROW = (
    *("capture", "megabytes", "program", "version", "runs"),
    *("median_s", "least_s", "most_s", "peak_mb", "times", "wrong_runs"),
)


@dataclass
class Program:
    """One of the two programs, how to call it and how to read its output."""

    name: str
    command: Callable[[Path], list[str]]
    rows: Callable[[Path], Rows]
    version: str
    results: list[dict[str, float]] = field(default_factory=list)
    wrong: int = 0  # runs with wrong output


def digest(rows: Rows) -> str:
    """A hash of an output: equal for the same requests and statuses in the same order on each connection."""
    found = hashlib.sha256()
    for kind in rows:
        by_connection = defaultdict(list)
        for connection, what in kind:
            by_connection[int(connection)].append(what)
        found.update(repr(sorted(by_connection.items())).encode())
    return found.hexdigest()


def truth_rows(path: Path) -> Rows:
    """What the generator wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return (
        [(row["connection"], f"{row['method']} {row['target']}") for row in rows],
        [(row["connection"], row["status"]) for row in rows],
    )


def easpcap_rows(path: Path) -> Rows:
    """`easpcap exchanges --format csv`."""
    requests: list[Row] = []
    statuses: list[Row] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["request.method"]:
                requests.append((row["connection"], f"{row['request.method']} {row['request.target']}"))
            if row["response.status"]:
                statuses.append((row["connection"], row["response.status"]))
    return requests, statuses


def tshark_rows(path: Path) -> Rows:
    """`tshark -T fields`; several messages in one frame are in one line, separated by a bar."""
    requests: list[Row] = []
    statuses: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        stream, methods, targets, codes = line.split("\t")
        both = zip(methods.split("|"), targets.split("|"), strict=True)
        requests.extend((stream, f"{method} {target}") for method, target in both if method)
        statuses.extend((stream, code) for code in codes.split("|") if code)
    return requests, statuses


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].strip()


def easpcap(command: str) -> Program:
    """easpcap, as a user calls it."""
    words = shlex.split(command)
    return Program(
        "easpcap",
        lambda capture: [*words, "exchanges", str(capture), "--key", str(SERVER_KEY), "--format", "csv"],
        easpcap_rows,
        _first_line([*words, "--version"]),
    )


def tshark() -> Program:
    """The reference, in one pass. Without reassemble_out_of_order it is wrong on reordered traffic."""
    options = ["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-o", f'uat:rsa_keys:"{SERVER_KEY}",""']
    fields = ["tcp.stream", "http.request.method", "http.request.uri", "http.response.code"]
    wanted = ["-Y", "http.request||http.response", "-T", "fields", "-E", "aggregator=|"]
    for name in fields:
        wanted += ["-e", name]
    return Program(
        "tshark",
        lambda capture: ["tshark", "-r", str(capture), *options, *wanted],
        tshark_rows,
        _first_line(["tshark", "--version"]),
    )


def run_once(program: Program, capture: Path, truth: str) -> dict[str, float]:
    """Run a program once, and compare its output with ``truth``."""
    output = OUT / f"{capture.stem}.{program.name}.txt"
    launcher = [sys.executable, "-I", "-S", str(HERE / "measured.py"), str(output)]
    done = subprocess.run(
        [*launcher, *program.command(capture)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    try:
        right = result["status"] == 0 and digest(program.rows(output)) == truth
    except (KeyError, ValueError, TypeError):
        right = False  # no table at all
    program.wrong += not right
    return result


def measure(programs: list[Program], capture: Path, runs: int) -> None:
    """Alternate the programs, so that other load on the machine affects both."""
    truth = digest(truth_rows(capture.with_suffix(".truth.csv")))
    for program in programs:
        program.results, program.wrong = [], 0
        run_once(program, capture, truth)  # the capture comes from memory from here on, for both
    for _ in range(runs):
        for program in programs:
            program.results.append(run_once(program, capture, truth))


def summary(programs: list[Program], capture: Path) -> Iterator[dict[str, object]]:
    """One row per program; ``times`` is its median as a multiple of the first program's."""
    medians = [statistics.median(result["seconds"] for result in program.results) for program in programs]
    for program, median in zip(programs, medians, strict=True):
        seconds = [result["seconds"] for result in program.results]
        peak = max(result["peak_bytes"] for result in program.results)
        values = (
            capture.stem,
            round(capture.stat().st_size / 1e6, 2),
            program.name,
            program.version,
            len(seconds),
            *(round(value, 3) for value in (median, min(seconds), max(seconds))),
            round(peak / 1e6, 1),
            round(median / medians[0], 2),
            program.wrong,
        )
        yield dict(zip(ROW, values, strict=True))


def prepare(name: str, megabytes: float) -> Path:
    """The capture of a preset, generated if it does not exist yet."""
    capture = OUT / f"{name}-{megabytes:g}.pcap"
    if not (capture.exists() and capture.with_suffix(".truth.csv").exists()):
        # In another process, so that its memory is not counted here.
        subprocess.run(
            [sys.executable, HERE / "generate.py", name, "--megabytes", str(megabytes), "--output", capture], check=True
        )
    return capture


def _print(rows: Iterable[dict[str, object]]) -> None:
    shown = [name for name in ROW if name != "version"]
    print(" ".join(f"{name:>10}" for name in shown))
    for row in rows:
        print(" ".join(f"{row[name]!s:>10}" for name in shown), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=["tiny", "mixed", "small", "bulk"], help=", ".join(PRESETS))
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each program (5)")
    parser.add_argument("--megabytes", type=int, help="another size for the captures asked for")
    parser.add_argument("--short", action="store_true", help="tiny, and 30 MB of mixed and small; three runs")
    parser.add_argument("--easpcap", default=str(Path(sys.executable).with_name("easpcap")), help="how to call easpcap")
    arguments = parser.parse_args()
    if unknown := set(arguments.presets) - set(PRESETS):
        parser.error(f"no such preset: {', '.join(sorted(unknown))}")
    return arguments


def main() -> int:
    """Compare on every requested capture; return 1 if an output was wrong, 0 (and print one line) without tshark."""
    arguments = _arguments()
    if not shutil.which("tshark"):
        print("tshark is absent: nothing to compare with")
        return 0
    sizes = {name: arguments.megabytes or PRESETS[name].megabytes for name in arguments.presets}
    if arguments.short:
        sizes = {"tiny": PRESETS["tiny"].megabytes, "mixed": 30, "small": 30}
    programs = [easpcap(arguments.easpcap), tshark()]
    OUT.mkdir(parents=True, exist_ok=True)
    print(", ".join(program.version for program in programs) + f", Python {platform.python_version()}")
    rows: list[dict[str, object]] = []
    for name, megabytes in sizes.items():
        capture = prepare(name, megabytes)
        measure(programs, capture, min(3, arguments.runs) if arguments.short else arguments.runs)
        rows.extend(summary(programs, capture))
    _print(rows)
    (OUT / "compare.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if any(row["wrong_runs"] for row in rows if row["program"] == "easpcap") else 0


if __name__ == "__main__":
    raise SystemExit(main())
