"""Makes text from the wire and from file names safe on a terminal and in the cell of a spreadsheet."""

from __future__ import annotations

#: A spreadsheet reads a cell that begins with one of these as a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _shown(character: str) -> str:
    """The character, or its Python escape of two, four or eight hex digits if it is not printable.

    ``str.isprintable`` is false for the Unicode categories Cc, Cf, Cs, Co, Cn, Zl, Zp and all spaces except the ASCII
    one: control, escape, bidirectional and zero-width characters, lone surrogates, line separators.
    """
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:  # two hex digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # four


def shown(text: str) -> str:
    """``text`` with every character escaped that could control a terminal or is invisible."""
    return text if text.isprintable() else "".join(map(_shown, text))


def cell(text: str) -> str:
    """``text`` as a CSV cell: escaped, and with an apostrophe before what a spreadsheet would read as a formula."""
    if text.isprintable():
        return "'" + text if text.startswith(_FORMULA) else text
    safe = shown(text)
    return "'" + safe if safe[0] != text[0] or safe.startswith(_FORMULA) else safe


def is_plain_line(line: str) -> bool:
    """Whether no cell of a line joined by commas needs escaping, an apostrophe or quotation marks for a quote."""
    return (
        line.isprintable()
        and '"' not in line
        and ",=" not in line
        and ",-" not in line
        and ("+" not in line or ",+" not in line)  # searching for one character is faster, and these two are rare
        and ("@" not in line or ",@" not in line)
        and not line.startswith(_FORMULA)
    )


def shortened(text: str, width: int) -> str:
    """At most ``width`` characters; a text that was cut ends in three dots."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."
