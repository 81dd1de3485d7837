"""The exit statuses. 2 takes precedence over 3, and 3 over 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easpcap.cli.options import Options
    from easpcap.results import Analysis, KeyFile

DONE = 0
FOUND = 1  # a finding at or above --fail-on, or a difference that verify cannot explain
UNUSABLE = 2  # wrong usage, unreadable input, none of the key files usable, or an internal error
NOTHING_DECRYPTED = 3  # keys were given, application data was encrypted, and none was decrypted
INTERRUPTED = 130  # by Ctrl-C: 128 + SIGINT, as shells report it

_SEVERITIES = ("notice", "warning", "critical")


def unusable_keys(analysis: Analysis) -> list[KeyFile]:
    """The key files that cannot be used at all."""
    return [key for key in analysis.keys if key.kind == "unusable"]


def exit_status(analysis: Analysis, options: Options) -> int:
    """The exit status for a finished analysis."""
    named = len(options.keys) + len(options.key_logs)
    if named and len(unusable_keys(analysis)) >= named:
        return UNUSABLE
    statuses = {connection.decryption.status for connection in analysis.connections}
    if named and "opaque" in statuses and not statuses & {"decrypted", "partial"}:
        return NOTHING_DECRYPTED
    if options.fail_on is not None:
        least = _SEVERITIES.index(options.fail_on)
        if any(_SEVERITIES.index(finding.severity) >= least for finding in analysis.findings):
            return FOUND
    return DONE
