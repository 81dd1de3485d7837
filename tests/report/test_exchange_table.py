"""The tables at the end of the text report: exchanges, or connections if no exchange could be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easpcap.report.text import Layout, render_text
from tests.report import builders

if TYPE_CHECKING:
    from easpcap.results import Analysis


def last_rows(analysis: Analysis, width: int = 120) -> list[str]:
    """The lines of the table, without its heading and without the suggested commands."""
    text = "".join(render_text(analysis, Layout(width)))
    return [line for line in text.split("\n\n")[-2].splitlines()[1:] if line]


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        (200, "completed"),
        (399, "completed"),
        (400, "refused (400)"),
        (413, "refused (413)"),
        (499, "refused (499)"),
        (500, "failed (500)"),
        (599, "failed (599)"),
        (600, "completed"),
    ],
)
def test_a_response_with_an_error_status_is_not_called_completed(status, ended):
    analysis = builders.quiet()
    analysis.exchanges[0].response.status = status
    assert last_rows(analysis)[-1].endswith("  " + ended)


def test_an_abandoned_request_that_was_answered_later_says_so():
    analysis = builders.quiet()
    analysis.exchanges[0].outcome, analysis.exchanges[0].too_late = "abandoned-by-client", True
    assert last_rows(analysis)[-1].endswith("client gave up, answered late")


def test_exchanges_of_critical_findings_are_shown_before_all_others():
    analysis = builders.many(60)
    for exchange in analysis.exchanges[:30]:
        exchange.outcome = "abandoned-by-client"
    (finding,), _ = builders._findings(analysis.exchanges[59])[0][:1], None
    finding.exchanges = [analysis.exchanges[59]]
    analysis.findings = [finding]
    assert any("22:48:00" in row for row in last_rows(analysis))  # exchange 59, a minute after the first


@pytest.mark.parametrize(("width", "shown"), [(89, False), (90, True)])
def test_the_duration_is_shown_from_90_columns_on(width, shown):
    assert ("took" in last_rows(builders.quiet(), width)[0]) == shown


def test_without_exchanges_the_connections_are_listed():
    header, first, _ = last_rows(builders.blind())
    assert header.split()[:5] == ["conn", "time", "client", "sent", "received"]
    assert first.split()[2:5] == ["192.0.2.7:49152", "1,000", "2,000"]
