"""Lines for people: text wrapped beside a label, colour, aligned columns, numbers with thousands separators."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import TextWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_WIDTH = 60
#: Longer lines are hard to read, however wide the screen.
MAX_WIDTH = 120

_CODES = {"bold": "1", "dim": "2", "red": "1;31", "yellow": "1;33", "cyan": "1;36", "green": "1;32"}
SEVERITY_STYLE = {"critical": "red", "warning": "yellow", "notice": "cyan"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The width in columns, and whether to use colour (ANSI escape sequences)."""

    width: int = 100
    colour: bool = False

    def styled(self, text: str, style: str) -> str:
        """``text`` in a style, or unchanged without colour."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and text else text

    def labelled(
        self, label: str, text: str, *, indent: int = 0, label_width: int = 12, style: str = "bold"
    ) -> Iterator[str]:
        """``text`` wrapped in a column to the right of ``label``; long words (paths, commands) are not broken."""
        margin = " " * (indent + label_width)
        lines = wrapped(text, self.width - len(margin)) or [""]
        head = " " * indent + self.styled(label, style) + " " * max(label_width - len(label), 1)
        yield (head + lines[0]).rstrip() + "\n"
        for line in lines[1:]:
            yield margin + line + "\n"

    def paragraphs(
        self, label: str, texts: Sequence[str], *, indent: int = 0, label_width: int = 12, style: str = "bold"
    ) -> Iterator[str]:
        """Several texts beside one label, each on a new line; their continuation lines are indented."""
        margin = " " * (indent + label_width)
        for number, text in enumerate(texts):
            lines = wrapped(text, self.width - len(margin), hanging=2 if len(texts) > 1 else 0) or [""]
            if number == 0:
                lines[0] = " " * indent + self.styled(label, style) + " " * (label_width - len(label)) + lines[0]
            else:
                lines[0] = margin + lines[0]
            yield lines[0].rstrip() + "\n"
            yield from (margin + line + "\n" for line in lines[1:])


def wrapped(text: str, width: int, *, hanging: int = 0) -> list[str]:
    """``text`` in lines of at most ``width`` characters, broken at blanks only."""
    wrapper = TextWrapper(
        max(width, MIN_WIDTH // 2), subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(text)


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 connection``, ``1,234 connections``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listed(texts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(texts) < 2:  # nothing to join
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> Iterator[str]:
    """Rows as lines of aligned columns, two blanks apart; the columns in ``right`` are aligned to the right.

    The tables of the other commands use tabulate. Importing it takes longer than a small analysis.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
