"""The published schema of OCSF, which the events that leave stoplog are held against."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from streams.codec.ocsf import OCSF_VERSION, PROFILES


@cache
def _schema() -> dict[str, Any]:
    made: dict[str, Any] = OcsfJsonSchemaEmbedded(get_ocsf_schema(OCSF_VERSION)).get_class_schema(
        "detection_finding", list(PROFILES)
    )
    return made


def faults(event: dict[str, Any]) -> list[str]:
    """Return what is wrong with an event, by the schema of detection findings."""
    return [str(fault)[:300] for fault in jsonschema_rs.validator_for(_schema()).iter_errors(event)]
