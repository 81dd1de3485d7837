"""Makes text from the wire and from file names safe to show: on a terminal, and in a spreadsheet's cell."""

from __future__ import annotations

#: What makes a spreadsheet read a cell as a formula (OWASP, "CSV Injection"); control characters are escaped before.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    return text if text.isprintable() else "".join(map(_shown, text))


def cell(text: str) -> str:
    """``text`` as a CSV cell: escaped, and with an apostrophe where a spreadsheet would take it for a formula."""
    if text.isprintable():
        return "'" + text if text.startswith(_FORMULA) else text
    safe = shown(text)
    return "'" + safe if safe[0] != text[0] or safe.startswith(_FORMULA) else safe


def is_plain_line(line: str) -> bool:
    """Whether ``cell`` leaves every text in a line joined by commas as it is, and no quotation mark is in it."""
    return (
        line.isprintable()
        and '"' not in line
        and ",=" not in line
        and ",-" not in line
        and ("+" not in line or ",+" not in line)  # one character is found faster, and these two are rare
        and ("@" not in line or ",@" not in line)
        and not line.startswith(_FORMULA)
    )


def shortened(text: str, width: int) -> str:
    """At most ``width`` characters, the cut marked."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."
