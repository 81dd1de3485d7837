"""Capture files -> PacketBatch columns, one window at a time. The only layer that reads captures."""

from __future__ import annotations

from easpcap.capture.capture import Capture, open_capture
from easpcap.capture.captureset import CaptureSet

__all__ = ["Capture", "CaptureSet", "open_capture"]
