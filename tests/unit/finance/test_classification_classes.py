"""Classes of statistics and what belongs to them."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from cli.load.chart import regional
from cli.load.classes import class_mappings, combination_rules, reporting_classes
from services.finance.classification.classes import domain
from services.finance.classification.classes.domain import ClassMapping, ReportingClass
from services.finance.classification.domain import ClassificationConflict, ParentUnknown
from services.finance.classification.segments import Segment

FROM = date(2021, 1, 1)
CLASSES = {("COFOG", "07"), ("COFOG", "08")}


def reporting_class(code: str = "07", **values: Any) -> ReportingClass:
    return ReportingClass(
        **{
            "reporting_class_id": uuid4(),
            "scheme": "COFOG",
            "code": code,
            "parent_code": "",
            "display_name": "Health",
            **values,
        }
    )


def mapping(code: str = "06", **values: Any) -> ClassMapping:
    return ClassMapping(
        **{
            "class_mapping_id": uuid4(),
            "scheme": "COFOG",
            "segment": Segment.FUNCTION,
            "segment_code": code,
            "class_code": "07",
            "legal_source": "made up",
            "valid_from": FROM,
            **values,
        }
    )


def test_a_class_is_made_once_and_says_one_thing():
    present = reporting_class()

    assert domain.admit_classes([reporting_class()], [present]) == [(present, False)]
    with pytest.raises(ClassificationConflict):
        domain.admit_classes([reporting_class(display_name="Sport")], [present])


def test_a_parent_may_come_in_the_same_batch_and_must_come():
    child = reporting_class("07.1", parent_code="07")

    assert domain.admit_classes([child, reporting_class()], [])[0] == (child, True)
    with pytest.raises(ParentUnknown):
        domain.admit_classes([child], [])


def test_a_code_is_of_one_class_on_a_day():
    present = mapping()
    later = mapping(class_code="08", valid_from=date(2026, 1, 1))
    known = {"segments": {"COFOG": Segment.FUNCTION}, "classes": CLASSES}

    assert domain.admit_mappings([mapping()], [present], **known) == [(present, False)]
    with pytest.raises(ClassificationConflict):
        domain.admit_mappings([later], [present], **known)
    ended = mapping(valid_to=date(2026, 1, 1))
    assert domain.admit_mappings([later], [ended], **known) == [(later, True)]


@pytest.mark.parametrize("values", [{"segment": Segment.ACCOUNT}, {"class_code": "99"}])
def test_a_scheme_classifies_one_segment_into_classes_that_are_there(values: dict[str, Any]):
    with pytest.raises(domain.ClassMappingInvalid):
        domain.admit_mappings([mapping(**values)], [], segments={"COFOG": Segment.FUNCTION}, classes=CLASSES)


def test_the_packs_mappings_name_codes_and_classes_that_the_pack_has():
    pack = regional()
    accounts = {one.code for one in pack.accounts}
    functions = {one.code for one in pack.dimension_values}
    classes = {(one.scheme, one.code) for one in reporting_classes()}

    for one in class_mappings():
        assert (one.scheme, one.class_code) in classes
        assert one.segment_code in (accounts if one.scheme == "GFSM2014" else functions), one.segment_code
    assert {one.scheme for one in class_mappings()} == {"COFOG", "GFSM2014"}


def test_a_pack_without_rules_about_combinations_has_none():
    assert combination_rules() == []
