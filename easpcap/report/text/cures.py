"""The remedies of a finding for people: what to do, what to type, how to verify and to undo it, what to beware of."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from easpcap.report.escape import shown
from easpcap.report.remedies import distinct, place
from easpcap.report.text.layout import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from easpcap.report.text.layout import Layout
    from easpcap.results import Remedy

_ACTIONS_SHOWN = 3
_PRODUCTS_OF_FIRST_ACTION = 2
_PRODUCTS_OF_OTHERS = 1
_BEWARES_SHOWN = 3
_PRODUCTS_NAMED = 4


def cure_lines(remedies: Sequence[Remedy], layout: Layout, *, indent: int, label_width: int) -> Iterator[str]:
    """Labelled lines: the first actions with their commands, and the products that are left out.

    Then how to verify and undo the leading remedy, and the side effects of all that are shown.
    """
    if not remedies:
        return
    by_action: dict[str, list[Remedy]] = {}
    for remedy in remedies:
        by_action.setdefault(remedy.action, []).append(remedy)
    shown_groups = [
        group[: _PRODUCTS_OF_OTHERS if number else _PRODUCTS_OF_FIRST_ACTION]
        for number, group in enumerate(islice(by_action.values(), _ACTIONS_SHOWN))
    ]
    for number, group in enumerate(shown_groups):
        label = "" if number else "Cure"
        first = group[0]
        words = f"{first.action}." if first.commands else f"{first.where}: {first.action}."
        yield from layout.labelled(label, shown(words), indent=indent, label_width=label_width)
        yield from _products(group if first.commands else group[1:], layout, indent + label_width)
        for note in distinct(remedy.notes for remedy in group):
            yield from layout.paragraphs("", [shown(note)], indent=indent + label_width, label_width=0)
    visible = [remedy for group in shown_groups for remedy in group]
    yield from _left_out([remedy for remedy in remedies if remedy not in visible], layout, indent + label_width)
    for label, texts in (
        ("Verify", list(remedies[0].verify)),
        ("Undo", list(remedies[0].undo)),
        ("Beware", distinct(remedy.beware for remedy in visible)[:_BEWARES_SHOWN]),
    ):
        yield from layout.paragraphs(label, [shown(t) for t in texts], indent=indent, label_width=label_width)


def _products(group: list[Remedy], layout: Layout, margin: int) -> Iterator[str]:
    """Each product with its commands, which are never broken: they are there to be copied."""
    for remedy in group:
        end = ":" if remedy.commands else "."
        yield from layout.paragraphs("", [shown(place(remedy)) + end], indent=margin, label_width=0)
        for command in remedy.commands:
            yield f"{' ' * (margin + 2)}{shown(command)}\n"


def _left_out(remedies: list[Remedy], layout: Layout, margin: int) -> Iterator[str]:
    if not remedies:
        return
    products = list(dict.fromkeys(remedy.where for remedy in remedies))
    more = ["others"] if len(products) > _PRODUCTS_NAMED else []
    words = f"{len(remedies)} more, for {listed([*products[:_PRODUCTS_NAMED], *more])}: easpcap findings --format json"
    yield from layout.paragraphs("", [shown(words)], indent=margin, label_width=0)
