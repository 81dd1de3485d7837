"""From files to an Analysis: read (analyzer), join the parts (partial), number and diagnose (judge).

The only package that imports every layer.
"""

from __future__ import annotations

from easpcap.pipeline.analyze import analyze
from easpcap.pipeline.analyzer import Analyzer
from easpcap.pipeline.judge import judge
from easpcap.pipeline.partial import Partial, merge

__all__ = ["Analyzer", "Partial", "analyze", "judge", "merge"]
