# ruff: noqa: INP001 - a script for continuous integration, not part of a package
"""Fails if the functions of easpcap are no longer short: the median above 8 lines, or one in ten above 20 lines.

The length of a function is the number of lines of its body, from the first statement to the last, without the
docstring. Functions inside functions are counted, and are part of the function around them too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import quantiles

MOST_MEDIAN = 8
MOST_P90 = 20


def main() -> int:
    """Name the measure that is exceeded and the longest functions; 1 if there is one."""
    root = Path(__file__).resolve().parent.parent
    lengths: list[tuple[int, str]] = []
    for path in sorted((root / "easpcap").rglob("*.py")):
        lengths += _lengths(path, path.relative_to(root).as_posix())
    tenths = quantiles((lines for lines, _ in lengths), n=10, method="inclusive")
    median, p90 = tenths[4], tenths[8]
    if median <= MOST_MEDIAN and p90 <= MOST_P90:
        return 0
    sys.stderr.write(f"functions: median {median:g} lines (at most {MOST_MEDIAN}), p90 {p90:g} (at most {MOST_P90})\n")
    for lines, name in sorted(lengths, reverse=True)[:10]:
        sys.stderr.write(f"{name}: {lines} lines\n")
    return 1


def _lengths(path: Path, name: str) -> list[tuple[int, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (_body_lines(node), f"{name}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


if __name__ == "__main__":
    raise SystemExit(main())
