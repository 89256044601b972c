"""Journeys are drawn from span files as the services write them."""

from __future__ import annotations

import json

from cli.trace import Span, spans, tree


def _span(span_id: str, parent_id: str | None, start: int, service: str = "finance") -> Span:
    return Span("t1", span_id, parent_id, service, f"step {span_id}", start, start + 10, False, {}, ())


def test_children_stand_below_their_parent_in_the_order_of_their_beginning():
    found = [_span("c", "a", 30), _span("a", None, 0), _span("d", "b", 25), _span("b", "a", 20)]

    ordered = [(depth, span.span_id) for depth, span in tree(found)]

    assert ordered == [(0, "a"), (1, "b"), (2, "d"), (1, "c")]


def test_a_span_whose_parent_was_not_recorded_is_a_root():
    ordered = tree([_span("b", "lost", 5), _span("a", None, 0)])

    assert [(depth, span.span_id) for depth, span in ordered] == [(0, "a"), (0, "b")]


def test_files_are_read_and_a_line_cut_off_by_a_crash_is_passed_over(tmp_path):
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "hr"}}]},
                "scopeSpans": [
                    {
                        "scope": {},
                        "spans": [
                            {
                                "traceId": "t1",
                                "spanId": "s1",
                                "name": "HireEmployee",
                                "startTimeUnixNano": "5",
                                "endTimeUnixNano": "9",
                                "status": {"code": 2},
                                "attributes": [{"key": "kelola.agency", "value": {"stringValue": "a1"}}],
                            }
                        ],
                    }
                ],
            }
        ]
    }
    text = json.dumps(document)
    (tmp_path / "hr-1.0.jsonl").write_text(f"{text}\n{text[:40]}", encoding="utf-8")

    found = list(spans(tmp_path))

    assert found == [Span("t1", "s1", None, "hr", "HireEmployee", 5, 9, True, {"kelola.agency": "a1"}, ())]
