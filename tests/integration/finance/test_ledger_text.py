"""Texts that the database cannot keep are the caller's mistake, not the server's."""

from __future__ import annotations

import grpc

from tests.integration.finance.books import Agency, line


def test_a_text_with_a_nul_character_is_refused_with_its_field(agency: Agency):
    lines = [line("1.1.01.07", 5), line("7.1.01.01", None, 5)]

    in_head = agency.refused(agency.entry(*lines, description="a\0b"))
    in_line = agency.refused(agency.entry(line("1.1.01.07\0", 5), lines[1]))

    assert (in_head.code, in_head.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("journal_entry.description",))
    assert in_line.fields == ("journal_entry.lines[0].account_code",)
