"""The second government's acts in several books, the papers behind them, and the jobs that come again."""

from __future__ import annotations

import hashlib

from google.longrunning import operations_pb2

from kelola.finance.v1 import attachment_pb2, job_pb2, joint_entry_pb2, ledger_pb2
from tests.system.rehearsal import TODAY, Company
from tests.system.rehearsal_finance import entry

ACCOUNTANT = "accountant"


def keep_the_papers(company: Company) -> None:
    """Call every RPC of JointEntryService, AttachmentService and JobService."""
    _attach(company, _post_in_two_books(company))
    _run_jobs(company)


def _post_in_two_books(company: Company) -> joint_entry_pb2.JointEntry:
    unit, treasury = company.agencies["unit"], company.agencies["treasury"]
    owed, earned = entry(unit, 700).lines
    act = joint_entry_pb2.JointEntry(
        treasury_agency_id=treasury,
        effective_on=TODAY,
        description="Titipan uji",
        legs=[
            joint_entry_pb2.JointEntryLeg(agency_id=unit, lines=[owed]),
            joint_entry_pb2.JointEntryLeg(agency_id=treasury, lines=[earned]),
        ],
    )
    posted: joint_entry_pb2.JointEntry = company.act(
        joint_entry_pb2.CreateJointEntryRequest(joint_entry=act), by=ACCOUNTANT
    )
    taken_back = company.act(joint_entry_pb2.CreateJointEntryRequest(joint_entry=act), by=ACCOUNTANT)
    company.act(joint_entry_pb2.ReverseJointEntryRequest(name=taken_back.name, reason="uji"), by=ACCOUNTANT)
    act.kind, act.corrects_joint_entry_id = ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION, posted.joint_entry_id
    act.auto_reverse = True
    company.act(joint_entry_pb2.CreateJointEntryRequest(joint_entry=act), by=ACCOUNTANT)
    company.read(joint_entry_pb2.GetJointEntryRequest(name=posted.name), by=ACCOUNTANT)
    company.read(joint_entry_pb2.ListJointEntriesRequest(agency_id=unit, page_size=3), by=ACCOUNTANT)
    return posted


def _attach(company: Company, act: joint_entry_pb2.JointEntry) -> None:
    agency_id, paper = company.agencies["unit"], b"%PDF-1.7 kuitansi uji"
    content = company.act(
        attachment_pb2.CreateAttachmentContentRequest(
            attachment_content=attachment_pb2.AttachmentContent(
                agency_id=agency_id,
                media_type="application/pdf",
                file_name="kuitansi.pdf",
                sha256=hashlib.sha256(paper).hexdigest(),
            ),
            data=paper,
        ),
        by=ACCOUNTANT,
    )
    attachment = company.act(
        attachment_pb2.CreateAttachmentRequest(
            attachment=attachment_pb2.Attachment(
                agency_id=agency_id,
                document=f"journalEntries/{act.legs[0].journal_entry_id}",
                sha256=content.sha256,
                description="Kuitansi",
            )
        ),
        by=ACCOUNTANT,
    )
    company.read(attachment_pb2.GetAttachmentRequest(name=attachment.name), by=ACCOUNTANT)
    company.read(
        attachment_pb2.ListAttachmentsRequest(agency_id=agency_id, document=attachment.document, page_size=3),
        by=ACCOUNTANT,
    )
    company.read(attachment_pb2.GetAttachmentContentRequest(name=content.name), by=ACCOUNTANT)


def _run_jobs(company: Company) -> None:
    agency_id = company.agencies["unit"]
    request = job_pb2.RunJobRequest(kind=job_pb2.JOB_KIND_LATE_INTEREST, agency_id=agency_id, due_on=TODAY)
    operation: operations_pb2.Operation = company.act(request, by=ACCOUNTANT)
    runs = job_pb2.ListJobRunsRequest(agency_id=agency_id, page_size=3)
    company.until(
        lambda: company.read(runs, by=ACCOUNTANT).job_runs,
        lambda seen: bool(seen) and seen[0].HasField("ended_at"),
        f"the end of {operation.name}",
    )
    company.read(job_pb2.ListJobsRequest(agency_id=agency_id, page_size=3), by=ACCOUNTANT)
