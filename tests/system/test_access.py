"""Who may call what (trust T8): every RPC by every role, against a table that people review, and over the wire.

`access.csv` says which roles hold each permission; `*` is whoever holds any role at all. A permission or a role that
is new to the policies fails here until the table says so too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from chassis import auth
from chassis.grpc.method import Method
from chassis.policy import Policy
from chassis.settings import ROOT
from chassis.testing import Refusal, call_as, refusal, refused
from tests.system import books
from tests.system.recording import Rpc, rpcs, send

_DENIED, _NOT_FOUND = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND
_WORKERS = 6
# No policy names it: what it may do is what everybody may.
_STRANGE_ROLE = "nobody.in_particular"

# What belongs to no agency, and why: the wall between agencies does not part it.
_COMMON = {
    "finance.account.": "one chart for all",
    "finance.account_mapping.": "one chart for all",
    "finance.dimension_value.": "one chart for all",
    "finance.combination_rule.": "one set of rules about the chart for all",
    "finance.code_succession.": "one chart follows another for all",
    "finance.reporting_class.": "one chart, and what it is in statistics, for all",
    "finance.exchange_rate.": "one set of rates for all",
    "finance.virement_rule.": "one law of virement for all",
    "identity.agency.read": "how governments are organised is public",
    "identity.role.read": "roles are the country pack's",
    "identity.person.": "one person registry for all",
    "identity.legal_entity.": "one registry of legal entities for all",
    "logistics.item.": "one catalogue for all",
    "logistics.supplier.": "a supplier serves every agency",
}

_GUARDED = [rpc for rpc in rpcs() if rpc.permission]
_OF_AN_AGENCY = [rpc for rpc in _GUARDED if not rpc.permission.startswith(tuple(_COMMON))]
# Those whose requests name the agency; what the others name lies behind the wall.
_NAMING_AN_AGENCY = [rpc for rpc in _OF_AN_AGENCY if Method.of(rpc.descriptor).agency_paths]


def _each(found: list[Rpc]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rpc", found, ids=lambda rpc: rpc.short)


each_rpc = _each(_GUARDED)


@cache
def _policy() -> Policy:
    return Policy.load(ROOT / "deploy" / "policies")


@cache
def _table() -> dict[str, set[str]]:
    """Permission -> the roles that hold it, as reviewed."""
    everybody = {*_policy().roles(), _STRANGE_ROLE}
    with Path(__file__).with_name("access.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["permission"]: row["roles"] for row in csv.DictReader(file)}
    return {permission: everybody if roles == "*" else set(roles.split()) for permission, roles in rows.items()}


def _roles() -> list[str]:
    return [*_policy().roles(), _STRANGE_ROLE]


def test_the_table_names_every_permission_and_no_other():
    asked = {rpc.permission for rpc in rpcs() if rpc.permission}

    assert set(_table()) == asked | set(_policy().permissions())


def test_the_policies_say_what_the_reviewed_table_says():
    differing = {
        f"{role} {'may' if _policy().role_holds(role, permission) else 'may not'} {permission}"
        for permission, holders in _table().items()
        for role in _roles()
        if _policy().role_holds(role, permission) != (role in holders)
    }

    assert differing == set()


@each_rpc
def test_roles_without_the_permission_are_denied_and_those_with_it_are_let_in(lived, rpc):
    example = lived.example(rpc)

    def attempt(role: str) -> tuple[str, grpc.StatusCode | bytes, str]:
        try:
            return role, send(lived.system, rpc, example.request, token=_token(lived, rpc, role)), ""
        except grpc.RpcError as failure:
            said = refusal(failure)
            return role, said.code, said.message

    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = list(pool.map(attempt, _roles()))

    holders = _table()[rpc.permission]
    assert {role for role, outcome, _ in outcomes if outcome is _DENIED} == set(_roles()) - holders
    # Whoever may is told what its caller was told: a mutation's stored answer, since the person is the same one.
    if rpc.mutates and not example.person_id.startswith("service:"):
        wrong = [one for one in outcomes if one[0] in _people(holders) and one[1] != example.reply]
        assert wrong == []


def _people(roles: set[str]) -> set[str]:
    return {role for role in roles if not role.startswith("service.")}


def _token(lived, rpc: Rpc, role: str) -> str:
    """The example's caller with this one role in the example's government; for a service's role its own token."""
    example = lived.example(rpc)
    agencies = [UUID(agency) for agency in lived.company.agencies.values()]
    if role.startswith("service."):
        person_id = UUID(lived.company.persons["auditor"])
        return lived.tokens.of_service(
            role.removeprefix("service."), rpc.service, person_id=person_id, agencies=agencies
        )
    is_service = example.person_id.startswith("service:")
    subject = lived.company.persons["auditor"] if is_service else example.person_id
    return lived.tokens.token(subject, [(role, agencies)])


def _bad_tokens(lived, rpc: Rpc) -> Iterator[tuple[str, str | None, str]]:
    """(what is wrong, the token, the reason that is said)."""
    role = next(iter(sorted(_table()[rpc.permission])))
    agencies = [UUID(agency) for agency in lived.company.agencies.values()]

    def signed(**more: Any) -> str:
        return lived.tokens.token(uuid4(), [(role, agencies)], **more)

    elsewhere = [service for service in lived.tokens.services if service != rpc.service]
    long_ago = 1_600_000_000
    yield "no token", None, "TOKEN_MISSING"
    yield "no JWT", "not.a.token", "TOKEN_INVALID"
    yield "expired", signed(now=long_ago), "TOKEN_EXPIRED"
    yield "for other services", signed(audience=elsewhere), "TOKEN_INVALID"
    yield "alg none", lived.tokens.unsigned(signed()), "TOKEN_INVALID"
    yield "unknown issuer", signed(issuer="https://elsewhere.invalid"), "TOKEN_INVALID"
    yield "foreign key", signed(key=lived.tokens.foreign_key()), "TOKEN_INVALID"
    yield "cut off", signed()[:-4], "TOKEN_INVALID"
    yield "a person in a service's role", lived.tokens.token(uuid4(), [("service.hr", agencies)]), "TOKEN_INVALID"


@each_rpc
def test_without_a_good_token_nobody_is_let_in(lived, rpc):
    example = lived.example(rpc)

    for wrong, token, reason in _bad_tokens(lived, rpc):
        said = _refused(lambda token=token: send(lived.system, rpc, example.request, token=token))
        assert (said.code, said.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason), wrong


@_each(_OF_AN_AGENCY)
def test_an_officer_of_another_government_reaches_nothing(lived, rpc):
    example = lived.example(rpc)
    role = next(iter(sorted(_table()[rpc.permission])))
    foreign = _agencies_of_the_story(lived)
    if role.startswith("service."):
        token = lived.tokens.of_service(role.removeprefix("service."), rpc.service, person_id=uuid4(), agencies=foreign)
    else:
        token = lived.tokens.token(uuid4(), [(role, foreign)])

    try:
        reply = rpc.reply_class.FromString(send(lived.system, rpc, example.request, token=token))
    except grpc.RpcError as failure:
        said = refusal(failure)
    else:
        # A list over all that the caller may see shows nothing of theirs.
        assert not rpc.mutates, f"an act in another government: {reply}"
        assert not [agency for agency in lived.company.agencies.values() if agency in str(reply)]
        return
    assert said.code in (_DENIED, _NOT_FOUND)


def _agencies_of_the_story(lived) -> list[UUID]:
    """Every agency that the story founded."""
    first = next(
        each
        for each in lived.told.of(Rpc("kelola.identity.v1.OrganizationService.CreateAgency"))
        if not each.message.agency.parent_agency_id
    ).answer
    ids = {first.agency_id}
    for each in lived.told.of(Rpc("kelola.identity.v1.OrganizationService.CreateAgency")):
        ids.add(each.answer.agency_id)
    return [UUID(agency) for agency in sorted(ids)]


@_each(_NAMING_AN_AGENCY)
def test_an_officer_of_a_sibling_agency_reaches_nothing(lived, rpc):
    """The role is held in one agency of the same government, the document belongs to the one beside it."""
    example = lived.example(rpc)
    role = next(iter(sorted(_people(_table()[rpc.permission])) or ["service.hr"]))
    sibling = [UUID(lived.company.agencies["sibling"])]
    if role.startswith("service."):
        token = lived.tokens.of_service("hr", rpc.service, person_id=uuid4(), agencies=sibling)
    else:
        token = lived.tokens.token(uuid4(), [(role, sibling)])

    said = _refused(lambda: send(lived.system, rpc, example.request, token=token))

    assert said.code is _DENIED


def test_nobody_checks_what_he_made(lived):
    """Maker and checker are compared by person, whatever roles the person holds (I9)."""
    said = {rpc.full_name.rpartition(".")[2]: one for rpc, one in lived.company.maker_refusals}

    assert set(said) == {
        "ApprovePayrollRun",
        "ApproveRequisition",
        "ApprovePurchaseOrder",
        "AcceptReceipt",
        "ApproveStockCount",
        "ApproveInvoice",
        "DecideInvoiceException",
        "ApproveWithholdingRemittance",
        "RejectWithholdingRemittance",
        "ApproveLateInterestCharge",
        "ApproveBankCharge",
        "ApproveCreditOffset",
        "RejectCreditOffset",
        "RejectBankCharge",
        "RejectLateInterestCharge",
        "ApproveLateDeliveryPenalty",
        "RejectLateDeliveryPenalty",
        "ReduceLateDeliveryPenalty",
        "VerifyPaymentRequest",
        "AuthorisePaymentRequest",
        "ReturnPaymentRequest",
        "IssuePaymentOrder",
        "ApprovePayeeAccount",
        "ApprovePaymentRun",
        "ApproveStep",
        "CertifyBill",
        "ApproveFiscalPeriodReopening",
        "ApproveBudgetChange",
        "RejectBudgetChange",
        "ApproveBudgetOverride",
        "RejectBudgetOverride",
        "ApproveMultiYearAuthorisation",
        "RejectMultiYearAuthorisation",
        "ApproveBudgetYearEnd",
        "RejectBudgetYearEnd",
        "ApproveBudgetCeiling",
        "RejectBudgetCeiling",
        "ReviewBudgetRequest",
        "ReturnBudgetRequest",
        "ApproveBudgetRequest",
        "ApproveCreditNote",
        "SplitInvoice",
        "ApproveBudgetControlChange",
        "RejectBudgetControlChange",
        "ApproveApprovalRuleChange",
        "RejectApprovalRuleChange",
    }
    assert {one.code for one in said.values()} <= {_DENIED, grpc.StatusCode.FAILED_PRECONDITION}, said
    # Refused because of the person, not because a role is missing.
    assert not [name for name, one in said.items() if "is not held" in one.message or not one.reason], said


def test_a_denied_decision_is_audited(lived):
    rpc = Rpc("kelola.finance.v1.BudgetService.AllotFunds")
    stranger = uuid4()

    said = _refused(
        lambda: send(
            lived.system, rpc, lived.example(rpc).request, token=lived.tokens.token(stranger, [("hr.employee", [])])
        )
    )

    assert said.code is _DENIED
    outcome, action = books.one(
        lived.platform, "finance", "select outcome, action from audit where person_id = %s", stranger
    )
    assert (outcome, rpc.full_name.rpartition(".")[2] in str(action)) == ("DENIED", True)


def test_operations_are_seen_by_those_who_may_and_in_their_agency_alone(lived):
    stub = operations_pb2_grpc.OperationsStub(lived.system.channel("hr"))
    made = lived.rehearsed.of(Rpc("kelola.hr.v1.PayrollService.CreatePayrollRun"))[-1].answer
    request = operations_pb2.GetOperationRequest(name=made.name)
    unit = [UUID(lived.company.agencies["unit"])]

    def token(role: str, agencies: list[UUID]) -> str:
        return lived.tokens.token(uuid4(), [(role, agencies)])

    seen = call_as(stub.GetOperation, request, token("hr.payroll_officer", unit))
    assert seen.name == made.name
    assert refused(stub.GetOperation, request, token("hr.officer", unit)).code is _DENIED
    elsewhere = token("hr.payroll_officer", _agencies_of_the_story(lived))
    assert refused(stub.GetOperation, request, elsewhere).code is _NOT_FOUND
    assert refused(stub.GetOperation, request, None).code is grpc.StatusCode.UNAUTHENTICATED


def test_a_service_token_is_for_one_service_and_one_minute(lived):
    rpc = Rpc("kelola.finance.v1.PayablesService.AcceptPayroll")
    example = lived.example(rpc)
    agencies = [UUID(lived.company.agencies["unit"])]
    key = auth.load_key(lived.platform.keys.private("hr"))

    def token(**more: Any) -> str:
        values = {"service": "hr", "audience": "finance", "person_id": uuid4(), "agencies": agencies, **more}
        return auth.service_token(key, **values)

    attempts = {
        "another's name on hr's key": token(service="logistics"),
        "meant for logistics": token(audience="logistics"),
        "an hour old": token(now=1_600_000_000),
    }
    for what, bad in attempts.items():
        said = _refused(lambda bad=bad: send(lived.system, rpc, example.request, token=bad))
        assert said.code is grpc.StatusCode.UNAUTHENTICATED, what


def _refused(call: Callable[[], bytes]) -> Refusal:
    try:
        reply = call()
    except grpc.RpcError as failure:
        return refusal(failure)
    raise AssertionError(f"the call was not refused but answered {reply!r}")
