"""From the request to the reservation, with finance's answer by saga."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from chassis.testing import call_as, refused
from chassis.wire import to_uuid
from kelola.logistics.v1 import requisition_pb2 as pb
from tests.integration.logistics.store_house import House, day, number, request_id, rupiah, today


def test_an_approved_requisition_is_pending_until_finance_reserves(logistics: House):
    drafted = logistics.requisition(logistics.line("10", "1000000", description="Chairs"))

    approved = logistics.approve(drafted)

    (asked,) = logistics.finance.asked
    assert rupiah(drafted.estimated_amount) == 11_100_000
    assert approved.status == pb.REQUISITION_STATUS_APPROVED
    assert approved.requisition_number.startswith("REQ/")
    assert asked.document.document_number == approved.requisition_number
    assert asked.items[0].document_line_id == drafted.lines[0].requisition_line_id
    assert rupiah(asked.items[0].amount) == rupiah(asked.items[0].schedule[0].amount) == 11_100_000
    assert approved.approved_by_person_id == str(logistics.people["approver"])


def test_a_refusal_is_a_state_with_finances_figures_and_may_be_approved_again(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    logistics.finance.refuse_next(asked="11100000", available="5000000", short_by="6100000")

    refusal = logistics.approve(drafted)
    again = logistics.approve(refusal)

    assert refusal.status == pb.REQUISITION_STATUS_REFUSED
    assert refusal.refusal.reason == "BUDGET_EXCEEDED"
    assert dict(refusal.refusal.figures) == {"asked": "11100000", "available": "5000000", "short_by": "6100000"}
    assert (again.status, again.requisition_number) == (pb.REQUISITION_STATUS_APPROVED, refusal.requisition_number)
    assert not again.HasField("refusal")


def test_an_unknown_outcome_is_asked_for_again_with_the_same_request_id(logistics: House):
    logistics.finance.away_next(6)

    approved = logistics.approve(logistics.requisition(logistics.line(description="Chairs")))

    assert approved.status == pb.REQUISITION_STATUS_APPROVED
    assert len(logistics.finance.asked) == 7
    assert len({asked.request_id for asked in logistics.finance.asked}) == 1


def test_i9_the_maker_may_not_approve_whatever_roles_he_holds(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    token = logistics.token("requester", "approver")
    request = pb.ApproveRequisitionRequest(name=drafted.name, request_id=request_id())

    refusal = refused(logistics.requisitions.ApproveRequisition, request, token)

    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "MAKER_IS_CHECKER")
    assert logistics.get_requisition(drafted.name).status == pb.REQUISITION_STATUS_DRAFT


def test_a_repeated_approval_returns_the_first_answer_byte_for_byte(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    request = pb.ApproveRequisitionRequest(name=drafted.name, request_id=request_id())
    token = logistics.token("approver")

    first = call_as(logistics.requisitions.ApproveRequisition, request, token)
    logistics.settled_requisition(drafted.name)
    second = call_as(logistics.requisitions.ApproveRequisition, request, token)

    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert len(logistics.finance.asked) == 1


def test_an_approval_by_a_stale_etag_is_aborted(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    logistics.finance.refuse_next(asked="1")
    logistics.approve(drafted)
    request = pb.ApproveRequisitionRequest(name=drafted.name, etag=drafted.etag, request_id=request_id())

    refusal = refused(logistics.requisitions.ApproveRequisition, request, logistics.token("approver"))

    assert (refusal.code.name, refusal.reason) == ("ABORTED", "ETAG_MISMATCH")


def test_cancelling_frees_what_is_reserved(logistics: House):
    approved = logistics.approve(logistics.requisition(logistics.line(description="Chairs")))
    request = pb.CancelRequisitionRequest(name=approved.name, cause="no longer needed", request_id=request_id())

    answered = logistics.act(logistics.requisitions.CancelRequisition, request, "approver").requisition
    cancelled = logistics.settled_requisition(approved.name)

    release = logistics.finance.asked[-1]
    assert answered.status == pb.REQUISITION_STATUS_CANCELLING
    assert cancelled.status == pb.REQUISITION_STATUS_CANCELLED
    assert release.items[0].document_line_id == approved.lines[0].requisition_line_id
    assert release.items[0].final


def test_a_draft_is_cancelled_at_once(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    request = pb.CancelRequisitionRequest(name=drafted.name, cause="a mistake", request_id=request_id())

    answered = logistics.act(logistics.requisitions.CancelRequisition, request, "requester").requisition

    assert answered.status == pb.REQUISITION_STATUS_CANCELLED
    assert logistics.finance.asked == []


def test_stock_needs_an_item_and_an_item_knows_its_treatment(logistics: House):
    item = logistics.item()
    asked = logistics.requisition(logistics.line(item_id=item.item_id)).lines[0]
    line = logistics.line(description="Chairs", treatment=item.treatment)

    requisition = pb.Requisition(
        agency_id=str(logistics.agency), purpose="x", currency_code="IDR", needed_on=day(today()), lines=[line]
    )
    request = pb.CreateRequisitionRequest(requisition=requisition, request_id=request_id())
    refusal = refused(logistics.requisitions.CreateRequisition, request, logistics.token("requester"))

    assert (asked.treatment, asked.description) == (item.treatment, item.display_name)
    assert (refusal.code.name, refusal.fields) == ("INVALID_ARGUMENT", ("requisition.lines[0].treatment",))


def test_other_agencies_requisitions_do_not_exist(logistics: House):
    drafted = logistics.requisition(logistics.line(description="Chairs"))
    stranger = logistics.token("requester", agency=to_uuid(request_id()))

    refusal = refused(logistics.requisitions.GetRequisition, pb.GetRequisitionRequest(name=drafted.name), stranger)
    listed = call_as(logistics.requisitions.ListRequisitions, pb.ListRequisitionsRequest(), stranger)

    assert refusal.code.name == "NOT_FOUND"
    assert list(listed.requisitions) == []


def test_a_list_is_paged_without_loss_and_filtered_by_status(logistics: House):
    drafted = [logistics.requisition(logistics.line(description=f"Chair {nth}")).name for nth in range(5)]
    token, seen, page_token = logistics.token("requester"), [], ""
    while True:
        request = pb.ListRequisitionsRequest(
            page_size=2, page_token=page_token, status=pb.REQUISITION_STATUS_DRAFT, agency_id=str(logistics.agency)
        )
        page = call_as(logistics.requisitions.ListRequisitions, request, token)
        seen += [requisition.name for requisition in page.requisitions]
        page_token = page.next_page_token
        if not page_token:
            break

    none = pb.ListRequisitionsRequest(status=pb.REQUISITION_STATUS_PAID)
    assert seen == drafted
    assert list(call_as(logistics.requisitions.ListRequisitions, none, token).requisitions) == []


def test_quantities_and_rates_are_checked_where_they_stand(logistics: House):
    token = logistics.token("requester")
    for field, line in {
        "requisition.lines[0].quantity": logistics.line("0", description="x"),
        "requisition.lines[0].estimated_unit_price": logistics.line("1", "0.0000001", description="x"),
        "requisition.lines[0].tax_rate": logistics.line("1", tax_rate=number("11"), description="x"),
        "requisition.lines[0].description": logistics.line("1"),
    }.items():
        requisition = pb.Requisition(
            agency_id=str(logistics.agency), purpose="x", currency_code="IDR", needed_on=day(today()), lines=[line]
        )
        request = pb.CreateRequisitionRequest(requisition=requisition, request_id=request_id())

        assert refused(logistics.requisitions.CreateRequisition, request, token).fields == (field,)


def test_n24_approvals_by_many_at_once_are_numbered_without_gaps(logistics: House):
    drafted = [logistics.requisition(logistics.line(description=f"Chair {nth}")) for nth in range(40)]
    token = logistics.token("approver")

    def approve(requisition: pb.Requisition) -> str:
        request = pb.ApproveRequisitionRequest(name=requisition.name, request_id=request_id())
        return call_as(logistics.requisitions.ApproveRequisition, request, token).requisition.requisition_number

    with ThreadPoolExecutor(16) as pool:
        numbers = list(pool.map(approve, drafted))

    assert sorted(numbers) == [f"REQ/{today().year}/{nth:05d}" for nth in range(1, 41)]
    for requisition in drafted:
        assert logistics.settled_requisition(requisition.name).status == pb.REQUISITION_STATUS_APPROVED
    assert logistics.problems() == []
