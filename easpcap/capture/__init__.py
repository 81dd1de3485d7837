"""Capture files -> PacketBatch columns, one window at a time. The only layer that reads captures."""

from __future__ import annotations

from easpcap.capture.capture import Capture, open_capture
from easpcap.capture.captureset import CaptureSet
from easpcap.capture.member import why_no_capture

__all__ = ["Capture", "CaptureSet", "open_capture", "why_no_capture"]
