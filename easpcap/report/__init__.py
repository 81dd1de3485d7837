"""Results as text, tables, CSV, JSON and JSON lines. Renderers yield pieces of text; who writes them is the cli's."""

from __future__ import annotations

from easpcap.report.document import render_json, render_jsonl
from easpcap.report.table import render_csv, render_table
from easpcap.report.text import Layout, render_text

__all__ = ["Layout", "render_csv", "render_json", "render_jsonl", "render_table", "render_text"]
