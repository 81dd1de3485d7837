# ruff: noqa: INP001 - a script for continuous integration, not part of a package
"""Fails if files of easpcap import each other in a circle.

Every import counts: one inside a function, and one that only the type checker reads, because a reader has to follow
those as well. Importing a name from a package counts as importing the submodule of that name, if there is one.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Graph = dict[str, set[str]]


def main() -> int:
    """Name every circle; 1 if there is one."""
    root = Path(__file__).resolve().parent.parent
    circles = sorted(circles_in(import_graph(root, "easpcap")))
    for circle in circles:
        sys.stderr.write(f"import circle: {' -> '.join([*circle, circle[0]])}\n")
    return 1 if circles else 0


def import_graph(root: Path, package: str) -> Graph:
    """Which module imports which, by dotted names."""
    files = {_module_name(path, root): path for path in sorted((root / package).rglob("*.py"))}
    return {name: set(_imports(path, name, files.keys())) - {name} for name, path in files.items()}


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path, name: str, modules: Iterable[str]) -> Iterator[str]:
    known = set(modules)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from (target for target in _targets(node, package, known) if target in known)


def _targets(node: ast.AST, package: str, known: set[str]) -> Iterator[str]:
    """The modules that an import statement loads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package.rsplit(".", node.level - 1)[0] if node.level else ""
        module = ".".join(filter(None, (base, node.module)))
        submodules = [f"{module}.{alias.name}" for alias in node.names]
        found = [name for name in submodules if name in known]
        yield from found
        if len(found) < len(submodules):  # at least one name is of the package itself
            yield module


def circles_in(graph: Graph) -> Iterator[list[str]]:
    """One shortest circle for each group of modules that reach each other."""
    left = dict(graph)
    for start in sorted(graph):
        circle = _shortest_circle(left, start)
        if circle:
            yield circle
        left = {name: targets - {start} for name, targets in left.items() if name != start}


def _shortest_circle(graph: Graph, start: str) -> list[str]:
    """The modules on the shortest way from ``start`` back to itself; empty if there is no way."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        longer = []
        for way in ways:
            for target in sorted(graph[way[-1]]):
                if target == start:
                    return way
                if target not in seen:
                    seen.add(target)
                    longer.append([*way, target])
        ways = longer
    return []


if __name__ == "__main__":
    raise SystemExit(main())
