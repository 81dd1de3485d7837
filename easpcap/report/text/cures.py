"""The remedies of a finding for people: what to do, what to type, how to verify and to undo it, what to beware of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easpcap.report.escape import shown
from easpcap.report.remedies import distinct, place
from easpcap.report.text.layout import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.report.text.layout import Layout
    from easpcap.results import Remedy

_ACTIONS_SHOWN = 3
_BEWARES_SHOWN = 3
_PRODUCTS_NAMED = 4


def cure_lines(remedies: Sequence[Remedy], layout: Layout, *, indent: int, label_width: int) -> Iterator[str]:
    """Labelled lines: each action for one product with its commands, a stop-gap last.

    Then how to verify and undo the leading remedy, the side effects of all that are shown, and which are left out.
    """
    if not remedies:
        return
    visible = _visible(remedies)
    for number, remedy in enumerate(visible):
        label, words = _label(remedy, number), shown(_instruction(remedy))
        yield from layout.labelled(label, words, indent=indent, label_width=label_width)
        yield from _details(remedy, layout, indent + label_width)
    for label, texts in (
        ("Verify", list(remedies[0].verify)),
        ("Undo", list(remedies[0].undo)),
        ("Beware", distinct(remedy.beware for remedy in visible)[:_BEWARES_SHOWN]),
        ("More", _left_out([remedy for remedy in remedies if remedy not in visible])),
    ):
        yield from layout.paragraphs(label, [shown(t) for t in texts], indent=indent, label_width=label_width)


def _visible(remedies: Sequence[Remedy]) -> list[Remedy]:
    """The first remedy of each action; once there is something to type, no vague alternatives."""
    by_action: dict[str, Remedy] = {}
    for remedy in remedies:
        by_action.setdefault(remedy.action, remedy)
    cures = [remedy for remedy in by_action.values() if not remedy.stop_gap]
    if cures and cures[0].commands:
        cures = [remedy for remedy in cures if remedy.commands]
    return [*cures[:_ACTIONS_SHOWN], *(remedy for remedy in by_action.values() if remedy.stop_gap)]


def _label(remedy: Remedy, number: int) -> str:
    if remedy.stop_gap:
        return "Stop-gap"
    if number == 0:
        return "Cure"
    return "Or" if remedy.commands else ""


def _instruction(remedy: Remedy) -> str:
    return f"{remedy.action}. {place(remedy)}:" if remedy.commands else f"{remedy.where}: {remedy.action}."


def _details(remedy: Remedy, layout: Layout, margin: int) -> Iterator[str]:
    """The commands, which are never broken because they are there to be copied, and what to know before typing."""
    for command in remedy.commands:
        yield f"{' ' * (margin + 2)}{shown(command)}\n"
    notes = [shown(" ".join(remedy.notes))] if remedy.notes else []
    yield from layout.paragraphs("", notes, indent=margin, label_width=0)


def _left_out(remedies: list[Remedy]) -> list[str]:
    if not remedies:
        return []
    products = list(dict.fromkeys(remedy.where for remedy in remedies))
    others = ["others"] if len(products) > _PRODUCTS_NAMED else []
    return [f"For {listed([*products[:_PRODUCTS_NAMED], *others])}: easpcap findings --format json"]
