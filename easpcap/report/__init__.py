"""Results as text, tables, CSV, JSON and JSON lines. Renderers yield pieces of text; the cli writes them.

    text      the report for people        document  JSON, JSON lines
    table     CSV, aligned tables          timeline  one row per event

A renderer is loaded on first use, because a run needs only one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easpcap.report.document import render_json, render_jsonl
    from easpcap.report.table import render_csv, render_table
    from easpcap.report.text import Layout, render_text

__all__ = ["Layout", "render_csv", "render_json", "render_jsonl", "render_table", "render_text"]

_HOME_OF = {
    "Layout": "text",
    "render_csv": "table",
    "render_json": "document",
    "render_jsonl": "document",
    "render_table": "table",
    "render_text": "text",
}


def __getattr__(name: str) -> object:
    """Load a renderer on first use (PEP 562)."""
    if name not in _HOME_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
