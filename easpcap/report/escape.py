"""Makes text from the wire and from file names safe to show: on a terminal, and in a spreadsheet's cell."""

from __future__ import annotations

import re

#: What does not need a look: printable ASCII. Everything else is asked of Unicode, character by character.
_PLAIN = re.compile(r"[ -~]*\Z")

#: What makes a spreadsheet read a cell as a formula (OWASP, "CSV Injection"); control characters are escaped before.
_FORMULA = frozenset("=+-@\t\r")


def _shown(character: str) -> str:
    """One character, or its escape as Python writes it: of two, four or eight hex digits.

    ``str.isprintable`` is false for the Unicode categories Cc, Cf, Cs, Co, Cn, Zl, Zp and all spaces but the ASCII
    one: control, escape, bidirectional and zero-width characters, lone surrogates, line separators.
    """
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:  # two hex digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # four


def shown(text: str) -> str:
    """``text`` with everything escaped that could steer a terminal or hide from the eye."""
    if _PLAIN.match(text):
        return text
    return "".join(map(_shown, text))


def cell(text: str) -> str:
    """``text`` as a CSV cell: escaped, and with an apostrophe where a spreadsheet would take it for a formula."""
    safe = shown(text)
    if safe and (safe[0] in _FORMULA or safe[0] != text[0]):
        return "'" + safe
    return safe


def shortened(text: str, width: int) -> str:
    """At most ``width`` characters, the cut marked."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."
