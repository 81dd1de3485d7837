"""Remedies in words: as lines of text, and as the parts of the text report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from easpcap.results import Remedy

#: Where commands are typed.
_SHELLS = {
    "cmd": "elevated Command Prompt",
    "apache-configuration": "Apache configuration",
    "nginx-configuration": "nginx configuration",
}

_REPORTED = "reported, not documented"


def remedy_lines(remedies: Sequence[Remedy]) -> list[str]:
    """A line for each remedy, then a line that begins with ``Beware:`` for each side effect."""
    return [*map(_line, remedies), *(f"Beware: {text}" for text in distinct(r.beware for r in remedies))]


def _line(remedy: Remedy) -> str:
    how = f": {'; '.join(remedy.commands)}" if remedy.commands else f". {' '.join(remedy.notes)}".rstrip()
    effect = f"   ({'; '.join(_effect(remedy))})" if _effect(remedy) else ""
    return f"{remedy.where}: {remedy.action}{how}{effect}"


def place(remedy: Remedy) -> str:
    """Product, shell and effect: the line over the commands of a remedy."""
    how = [_SHELLS.get(remedy.shell, remedy.shell)] if remedy.shell else []
    return "; ".join([remedy.where, *how, *_effect(remedy)])


def _effect(remedy: Remedy) -> list[str]:
    """When a remedy takes effect, and whether it is only reported."""
    effect = [f"takes effect {remedy.takes_effect}"] if remedy.takes_effect is not None else []
    return effect if remedy.documented else [*effect, _REPORTED]


def distinct(texts: Iterable[Iterable[str]]) -> list[str]:
    """The texts of several remedies, each once, in their order."""
    return list(dict.fromkeys(text for group in texts for text in group))
