"""A request_id is one act, whoever asks how often (trust T5), for every mutating RPC of the contracts."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import grpc
import pytest

from chassis.testing import refusal
from tests.system import books
from tests.system.mutation import other_valid
from tests.system.recording import Example, mutating, send

_AGAIN = 5
# What a fresh judgement of a request that was carried out before may end in.
_JUDGED = {
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INVALID_ARGUMENT,
}
each_mutation = pytest.mark.parametrize("rpc", mutating(), ids=lambda rpc: rpc.short)


@pytest.fixture(scope="module")
def quiet(lived):
    """The system, with nothing under way."""
    books.at_rest(lived.platform)
    return lived


@each_mutation
def test_sent_again_it_gets_the_same_bytes_and_changes_nothing(quiet, rpc):
    example = quiet.example(rpc)
    token = quiet.token_of(example)
    before = books.row_counts(quiet.platform)

    for _ in range(_AGAIN):
        assert send(quiet.system, rpc, example.request, token=token) == example.reply
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(send, quiet.system, rpc, example.request, token=token) for _ in range(2)]
        assert [one.result() for one in both] == [example.reply] * 2

    assert books.changes(before, books.row_counts(quiet.platform)) == {}


@each_mutation
def test_two_at_once_are_one_act_with_one_answer(lived, rpc):
    acts = [twin for twin in lived.company.twins if twin.rpc == rpc]

    assert acts, f"{rpc.full_name} is not rehearsed"
    for act in acts:
        assert act.replies[0] == act.replies[1]
        (kept,) = books.one(
            lived.platform,
            rpc.service,
            "select count(*) from idempotency where request_id = %s and subject = %s",
            UUID(act.request_id),
            act.person_id,
        )
        (audited,) = books.one(
            lived.platform,
            rpc.service,
            "select count(*) from audit where request_id = %s and subject = %s and outcome = 'DONE'",
            act.request_id,
            act.person_id,
        )
        assert (kept, audited) == (1, 1)


@each_mutation
def test_other_content_under_the_same_request_id_is_refused(lived, rpc):
    example = lived.example(rpc)
    token = lived.token_of(example)
    said = []

    for changed in other_valid(example.message):
        try:
            reply = send(lived.system, rpc, changed.SerializeToString(), token=token)
        except grpc.RpcError as failure:
            said.append(refusal(failure))
            if said[-1].code is not grpc.StatusCode.INVALID_ARGUMENT:
                break
        else:
            pytest.fail(f"{rpc.full_name} took other content under an old request_id: {changed} -> {reply!r}")

    assert said, f"nothing in {rpc.request_class.DESCRIPTOR.full_name} could be changed"
    assert (said[-1].code, said[-1].reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_MISMATCH"), said


@each_mutation
def test_another_user_with_the_same_rights_is_judged_anew(lived, rpc):
    example = lived.example(rpc)
    other = uuid4()

    try:
        send(lived.system, rpc, example.request, token=_token_of_another(lived, example, other))
    except grpc.RpcError as failure:
        said = refusal(failure)
        assert said.code in _JUDGED
        assert said.reason != "IDEMPOTENCY_MISMATCH"
    else:
        # Not the stored answer: the act is the other user's own, kept under his own name.
        (kept,) = books.one(
            lived.platform,
            rpc.service,
            "select count(*) from idempotency where request_id = %s and subject = %s",
            UUID(example.message.request_id),
            str(other),
        )
        assert kept == 1


def _token_of_another(lived, example: Example, person_id: UUID) -> str:
    """The grants of the example's caller, held by a person of another id (for a service: another service)."""
    if example.person_id.startswith("service:"):
        agencies = [UUID(lived.company.agencies["unit"])]
        return lived.tokens.of_service("logistics", example.rpc.service, person_id=person_id, agencies=agencies)
    body = lived.token_of(example).split(".")[1]
    grants = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["grants"]
    held = [(grant["role"], [UUID(agency) for agency in grant["agencies"]]) for grant in grants]
    return lived.tokens.token(person_id, held)
