"""The country pack's classes of statistics, what belongs to them, and its rules about combinations, as messages.

`cofog.csv` and `gfsm2014_economic.csv` are the classes; the functions name their COFOG division themselves
(`functions_regional_pmdn90.csv`), `class_mapping.csv` has everything else. `combination_rules.csv` is there when a law
of the country says something about combinations. Files that a pack does not have are left out.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from chassis.wire import to_date
from cli.load.chart import PACK, rows_of
from kelola.finance.v1 import combination_rule_pb2, reporting_class_pb2

COFOG, GFSM = "COFOG", "GFSM2014"
# The functions' column was matched to COFOG for the chart that is in force since budget year 2021.
_FUNCTIONS_FROM = date(2021, 1, 1)
_FUNCTIONS_SOURCE = "Permendagri 90/2019 functions matched to UN COFOG 1999 divisions; the pack's own reading"


def reporting_classes(folder: Path = PACK) -> list[reporting_class_pb2.ReportingClass]:
    """The classes of COFOG and of GFSM 2014, as far as the pack has their tables."""
    found = []
    for scheme, file in ((COFOG, "cofog.csv"), (GFSM, "gfsm2014_economic.csv")):
        for row in _rows(folder, file):
            found.append(
                reporting_class_pb2.ReportingClass(
                    scheme=scheme, code=row["code"], parent_code=row["parent_code"], display_name=row["name_en"]
                )
            )
    return found


def class_mappings(folder: Path = PACK) -> list[reporting_class_pb2.ClassMapping]:
    """What belongs to which class: functions by their own column, and the rows of `class_mapping.csv`.

    A sub-function of its parent's division needs no rule of its own.
    """
    divisions = {row["code"]: row["cofog_division"] for row in _rows(folder, "functions_regional_pmdn90.csv")}
    parents = {row["code"]: row["parent_code"] for row in _rows(folder, "functions_regional_pmdn90.csv")}
    functions = [
        reporting_class_pb2.ClassMapping(
            scheme=COFOG,
            segment=combination_rule_pb2.CLASSIFICATION_SEGMENT_FUNCTION,
            segment_code=code,
            class_code=division,
            legal_source=_FUNCTIONS_SOURCE,
            valid_from=to_date(_FUNCTIONS_FROM),
        )
        for code, division in divisions.items()
        if division and divisions.get(parents[code]) != division
    ]
    return functions + [_mapping(row) for row in _rows(folder, "class_mapping.csv")]


def combination_rules(folder: Path = PACK) -> list[combination_rule_pb2.CombinationRule]:
    """The rules about combinations. `conditions` are `SEGMENT:code` separated by blanks, `codes` blanks too."""
    return [_rule(row) for row in _rows(folder, "combination_rules.csv")]


def _rows(folder: Path, file: str) -> list[dict[str, str]]:
    return rows_of(folder / file) if (folder / file).exists() else []


def _segment(word: str) -> combination_rule_pb2.ClassificationSegment.ValueType:
    return combination_rule_pb2.ClassificationSegment.Value(f"CLASSIFICATION_SEGMENT_{word}")


def _mapping(row: dict[str, str]) -> reporting_class_pb2.ClassMapping:
    mapping = reporting_class_pb2.ClassMapping(
        scheme=row["scheme"],
        segment=_segment(row["segment"]),
        segment_code=row["segment_code"],
        class_code=row["class_code"],
        legal_source=row["legal_source"],
        valid_from=to_date(date.fromisoformat(row["valid_from"])),
    )
    if row["valid_to"]:
        mapping.valid_to.CopyFrom(to_date(date.fromisoformat(row["valid_to"])))
    return mapping


def _rule(row: dict[str, str]) -> combination_rule_pb2.CombinationRule:
    rule = combination_rule_pb2.CombinationRule(
        code=row["code"],
        segment=_segment(row["segment"]),
        effect=combination_rule_pb2.CombinationEffect.Value(f"COMBINATION_EFFECT_{row['effect']}"),
        codes=row["codes"].split(),
        explanation=row["explanation"],
        legal_source=row["legal_source"],
        valid_from=to_date(date.fromisoformat(row["valid_from"])),
    )
    for word in row["conditions"].split():
        segment, _, code = word.partition(":")
        rule.conditions.add(segment=_segment(segment), code=code)
    if row["valid_to"]:
        rule.valid_to.CopyFrom(to_date(date.fromisoformat(row["valid_to"])))
    return rule
