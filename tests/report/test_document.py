"""JSON and JSON lines: the schema, the streaming, the escaping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from easpcap.report.document import render_json, render_jsonl
from tests.report import builders

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/easpcap.inspect.1.json").read_text())
ANALYSES = [builders.incident, builders.quiet, builders.blind, builders.many]


@pytest.mark.parametrize("build", ANALYSES)
def test_the_document_is_valid_by_the_schema(build):
    Draft202012Validator.check_schema(SCHEMA)
    document = json.loads("".join(render_json(build())))
    assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []


def test_the_schema_rejects_a_wrong_document():
    document = json.loads("".join(render_json(builders.incident())))
    document["connections"][0]["first_time"] = "yesterday"
    document["exchanges"][0]["outcome"] = "lost"
    assert len(list(Draft202012Validator(SCHEMA).iter_errors(document))) == 2


@pytest.mark.parametrize("build", ANALYSES)
def test_json_lines_are_the_same_rows_each_with_its_type(build):
    document = json.loads("".join(render_json(build())))
    lines = [json.loads(line) for line in "".join(render_jsonl(build())).splitlines()]
    for section, kind in [
        ("inputs", "input"),
        ("keys", "key"),
        ("connections", "connection"),
        ("exchanges", "exchange"),
    ]:
        assert [line for line in lines if line["type"] == kind] == [{"type": kind, **row} for row in document[section]]
    for section, kind in [("findings", "finding"), ("anomalies", "anomaly")]:
        assert [line for line in lines if line["type"] == kind] == [{"type": kind, **row} for row in document[section]]
    assert lines[-1]["type"] == "summary"
    assert lines[-1]["causes"] == document["summary"]["causes"]


def test_one_section_is_an_object_with_that_section_alone():
    document = json.loads("".join(render_json(builders.incident(), ("exchanges",))))
    assert list(document) == ["schema", "tool", "exchanges"]


def test_json_is_ascii_only():
    text = "".join(render_json(builders.incident()))
    assert text.isascii()
    assert "\x1b" not in text
    target = json.loads(text)["exchanges"][3]["request"]["target"]
    assert target == "/x?" + builders.HOSTILE  # exact for machines


def test_the_document_is_written_in_pieces():
    pieces = list(render_json(builders.many(500)))
    assert max(map(len, pieces)) < 3000


def test_the_same_analysis_gives_the_same_bytes(golden):
    golden("incident.json", "".join(render_json(builders.incident())))


def test_the_timeline_has_its_offset_as_a_number():
    rows = json.loads("".join(render_json(builders.incident(), ("timeline",))))["timeline"]
    assert rows[0]["offset_s"] == 0.0
    assert all(isinstance(row["offset_s"], float) for row in rows)
