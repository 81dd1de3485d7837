"""docs/output.md names everything that an output can contain."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from easpcap.advice.decryption_steps import STEPS
from easpcap.cli import status
from easpcap.report import server_rows, timeline, verification_rows
from easpcap.report.columns import CSV_COLUMNS
from easpcap.verify.limitations import Limitation

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "output.md").read_text()
NAMED = set(re.findall(r"[a-z0-9_]+(?:-[a-z0-9_]+)*", DOCS))
SOURCES = "\n".join(path.read_text() for path in (ROOT / "easpcap").rglob("*.py"))


SCHEMAS = sorted((ROOT / "docs" / "schema").glob("*.json"))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_every_field_of_the_schema_is_named(path):
    schema = json.loads(path.read_text())
    fields = set(schema["properties"])
    for definition in schema["$defs"].values():
        fields |= set(definition.get("properties", ()))
    assert fields <= NAMED


def test_every_value_of_an_enumeration_is_named():
    text = "".join(path.read_text() for path in SCHEMAS)
    values = {value for found in re.findall(r'"enum": \[([^\]]*)\]', text) for value in re.findall(r'"([^"]+)"', found)}
    assert len(values) > 30
    assert values <= NAMED


@pytest.mark.parametrize(
    "columns", [*CSV_COLUMNS.values(), server_rows.CSV_COLUMNS, verification_rows.CSV_COLUMNS], ids=lambda c: c[0]
)
def test_every_column_is_named(columns):
    assert {name for column in columns for name in column.split(".")} <= NAMED


def test_every_event_of_the_timeline_is_named():
    assert set(timeline.FACT_EVENTS.values()) <= NAMED


def test_every_anomaly_code_in_the_source_is_named():
    codes = set(re.findall(r'(?:note|nomaly|complain)\(\s*"([a-z0-9-]+)"', SOURCES))
    codes |= set(re.findall(r'"(capture-(?:damaged|truncated))"', SOURCES))
    assert len(codes) > 10
    assert codes <= NAMED


def test_every_reason_of_a_verdict_has_its_row_in_the_guide_to_keys():
    guide = (ROOT / "docs" / "keys.md").read_text()
    for reason in STEPS:
        assert f"\n| `{reason}` | " in guide


def test_every_limitation_of_tshark_has_its_row_in_the_guide():
    guide = (ROOT / "docs" / "verify.md").read_text()
    assert set(verification_rows.EXPLANATIONS) == set(get_args(Limitation))
    for limitation in verification_rows.EXPLANATIONS:
        assert f"\n| `{limitation}` | " in guide


def test_every_exit_status_is_named():
    for value in (status.DONE, status.FOUND, status.UNUSABLE, status.NOTHING_DECRYPTED, status.INTERRUPTED):
        assert f"\n| {value} | " in DOCS
