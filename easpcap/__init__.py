"""Reads captures of Exchange ActiveSync over TLS with the server's key, and says why mail is not sent.

``__all__`` is the public interface. Everything is loaded when it is first used: importing this package takes almost no
time, and neither cryptography nor numpy is loaded before a capture is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easpcap import facts
    from easpcap.activesync.command import Command
    from easpcap.capture import Capture, open_capture
    from easpcap.errors import CaptureError, EaspcapError, KeyFileError
    from easpcap.http.exchange import Exchange, Interim, Message, Request, Response
    from easpcap.keyfiles import load_keys
    from easpcap.pipeline.analyze import analyze
    from easpcap.pipeline.analyzer import Analyzer
    from easpcap.pipeline.judge import judge
    from easpcap.pipeline.partial import Partial, merge
    from easpcap.results import (
        Analysis,
        Cause,
        Connection,
        Decryption,
        Evidence,
        Fact,
        Finding,
        InputFile,
        KeyFile,
        LocatedAnomaly,
        RecordRun,
        Renegotiation,
        TlsSummary,
    )
    from easpcap.stream import Endpoint, Position

__version__ = "0.1.0"

__all__ = [
    "Analysis",
    "Analyzer",
    "Capture",
    "CaptureError",
    "Cause",
    "Command",
    "Connection",
    "Decryption",
    "EaspcapError",
    "Endpoint",
    "Evidence",
    "Exchange",
    "Fact",
    "Finding",
    "InputFile",
    "Interim",
    "KeyFile",
    "KeyFileError",
    "LocatedAnomaly",
    "Message",
    "Partial",
    "Position",
    "RecordRun",
    "Renegotiation",
    "Request",
    "Response",
    "TlsSummary",
    "__version__",
    "analyze",
    "facts",
    "judge",
    "load_keys",
    "merge",
    "open_capture",
]

_HOMES = {
    "easpcap.activesync.command": ("Command",),
    "easpcap.capture": ("Capture", "open_capture"),
    "easpcap.errors": ("CaptureError", "EaspcapError", "KeyFileError"),
    "easpcap.http.exchange": ("Exchange", "Interim", "Message", "Request", "Response"),
    "easpcap.keyfiles": ("load_keys",),
    "easpcap.pipeline": ("Analyzer", "Partial", "analyze", "judge", "merge"),
    "easpcap.results": (
        "Analysis",
        "LocatedAnomaly",
        "Cause",
        "Connection",
        "Decryption",
        "Evidence",
        "Fact",
        "Finding",
        "InputFile",
        "KeyFile",
        "Renegotiation",
        "RecordRun",
        "TlsSummary",
    ),
    "easpcap.stream": ("Endpoint", "Position"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    from importlib import import_module

    if name == "facts":  # a module: one class for each kind of fact
        return import_module("easpcap.facts")
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
