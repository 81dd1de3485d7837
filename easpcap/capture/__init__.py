"""Capture files -> PacketBatch columns, one window at a time. The only layer that reads captures."""

from __future__ import annotations

from easpcap.capture.capture import Capture, first_packet_time, open_capture

__all__ = ["Capture", "first_packet_time", "open_capture"]
