"""No code of the chart or of a dimension ever stands above itself, on whatever day and however rows are ordered."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from random import Random
from uuid import uuid4

import pytest

from services.finance.classification.domain import ClassificationCycle, DimensionValue, admit, check_acyclic

FIRST, LATER, LAST = date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)


def value(code: str, above: str = "", since: date = FIRST, until: date | None = None) -> DimensionValue:
    """A value of the programmes under another one."""
    return DimensionValue(uuid4(), "PROGRAM", code, above, code, since, until)


def test_a_ring_within_one_batch_is_refused_with_its_codes_in_every_order():
    batch = [value("A", "B"), value("B", "C"), value("C", "A"), value("D", "C")]

    for rows in permutations(batch):
        assert admit(rows, []), "each has its parent"
        with pytest.raises(ClassificationCycle) as refused:
            check_acyclic(rows, [])
        assert sorted(refused.value.metadata["codes"].split(",")) == ["A", "B", "C"]
        assert refused.value.metadata["valid_on"] == "2025-01-01"


def test_a_code_is_not_its_own_parent():
    with pytest.raises(ClassificationCycle, match="A < A"):
        check_acyclic([value("A", "A")], [])


def test_a_ring_that_begins_on_a_later_day_is_refused_with_that_day():
    there = [value("A", until=LATER), value("A", "B", LATER), value("B", until=LAST)]

    with pytest.raises(ClassificationCycle, match="on 2027-01-01"):
        check_acyclic([value("B", "A", LAST)], there)


def test_a_code_that_ended_stands_where_it_last_stood():
    # B's parent C goes under X, which went under A while A, under B, was still there.
    there = [
        *(value("A", "B", until=LATER), value("B", "C"), value("C", until=LAST)),
        *(value("X", "A", date(2025, 6, 1)),),
    ]

    with pytest.raises(ClassificationCycle, match="on 2027-01-01"):
        check_acyclic([value("C", "X", LAST)], there)


def test_two_codes_may_change_places_from_one_day_to_the_next():
    there = [value("A", until=LATER), value("B", "A", until=LATER)]

    check_acyclic([value("B", "", LATER), value("A", "B", LATER)], there)


def test_a_ring_from_elsewhere_hinders_only_what_would_stand_under_it_and_can_be_broken():
    ring = [value("A", "B"), value("B", "A", until=LATER)]

    check_acyclic([value("D", "C"), value("C")], ring)
    check_acyclic([value("B", "", LATER)], ring)
    with pytest.raises(ClassificationCycle, match="D"):
        check_acyclic([value("D", "A")], ring)


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_of_any_shape_is_sound_and_its_root_under_one_of_its_leaves_is_not(seed: int):
    print(f"seed {seed}")
    random = Random(seed)
    size = random.randint(2, 60)
    rows = [value("0")]
    for nth in range(1, size):
        rows.append(value(str(nth), str(random.randrange(nth)), FIRST if nth % 2 else LATER))
    random.shuffle(rows)

    check_acyclic(rows, [])

    leaf = str(size - 1)
    bent = [value("0", leaf, LAST)]
    with pytest.raises(ClassificationCycle) as refused:
        check_acyclic(bent, rows)
    assert {"0", leaf} <= set(refused.value.metadata["codes"].split(","))
