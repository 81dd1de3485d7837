"""The wiring: from files to an Analysis. The only package that knows every layer."""

from __future__ import annotations

from easpcap.pipeline.analyze import analyze
from easpcap.pipeline.analyzer import Analyzer

__all__ = ["Analyzer", "analyze"]
