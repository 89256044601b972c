"""The second government's persons, agencies and grants."""

from __future__ import annotations

from chassis import auth
from chassis.settings import ServiceSettings
from chassis.wire import to_date
from cli.demo import cast
from kelola.identity.v1 import access_pb2, organization_pb2, person_pb2, token_pb2
from tests.system.rehearsal import JANUARY_FIRST, OPERATOR, Company, mask, person

# Who makes a paper and holds the role of who checks it as well: the service compares persons, not roles.
BOTH_ROLES = (
    ("requester", "requisition_approver"),
    ("procurement_officer", "commitment_officer"),
    ("receiver", "inspector"),
    ("storekeeper", "requisition_approver"),
    ("payroll_officer", "payroll_approver"),
    ("invoice_clerk", "budget_user"),
    ("expenditure_treasurer", "verifier"),
    ("expenditure_treasurer", "accountant"),
    ("verifier", "budget_user"),
    ("budget_user", "treasurer"),
    ("accountant", "budget_authority"),
    ("budget_officer", "budget_authority"),
    ("budget_user", "budget_officer"),
    ("budget_user", "budget_authority"),
    ("treasurer", "treasury_head"),
    ("reconciler", "treasury_head"),
)


def found(company: Company) -> None:
    """Found the government, register its officers, give them their roles."""
    for label, code, kind, parent in (
        ("government", "UJI", organization_pb2.AGENCY_KIND_GOVERNMENT, ""),
        ("treasury", "UJI.BUD", organization_pb2.AGENCY_KIND_TREASURY, "government"),
        ("unit", "UJI.1", organization_pb2.AGENCY_KIND_AGENCY, "government"),
        ("sibling", "UJI.2", organization_pb2.AGENCY_KIND_AGENCY, "government"),
    ):
        company.agencies[label] = company.act(
            organization_pb2.CreateAgencyRequest(
                agency=organization_pb2.Agency(
                    parent_agency_id=company.agencies.get(parent, ""),
                    kind=kind,
                    code=code,
                    display_name=f"Uji {label}",
                )
            ),
            by=OPERATOR,
        ).agency_id
        company.system.forget_tokens()
    for number, label in enumerate([*cast.OFFICERS, "owner", "official", "second_official"]):
        company.persons[label] = register(company, person(number, label))
    for label, role in cast.OFFICERS.items():
        _grant(company, label, role)
    for maker, checker in BOTH_ROLES:
        # The maker's own person, under a label that says what he holds beside his own role.
        company.persons[f"{maker}+{checker}"] = company.persons[maker]
        _grant(company, maker, cast.OFFICERS[checker])
    company.system.forget_tokens()


def register(company: Company, who: cast.Person) -> str:
    """Register a person; the id."""
    reply = company.act(
        person_pb2.RegisterPersonRequest(
            person=person_pb2.Person(
                national_id=who.national_id,
                full_name=who.full_name,
                birth_date=to_date(who.birth_date),
                sex=person_pb2.SEX_FEMALE if who.female else person_pb2.SEX_MALE,
            )
        ),
        by=OPERATOR,
    )
    return str(reply.person.person_id)


def _grant(company: Company, label: str, role: str) -> access_pb2.Grant:
    return company.act(
        access_pb2.CreateGrantRequest(
            grant=access_pb2.Grant(
                person_id=company.persons[label],
                role=role,
                agency_id=company.agencies["government"],
                valid_from=JANUARY_FIRST,
            )
        ),
        by=OPERATOR,
    )


def legal_entity(company: Company) -> str:
    """A supplier's legal entity; the id."""
    reply = company.act(
        organization_pb2.CreateLegalEntityRequest(
            legal_entity=organization_pb2.LegalEntity(
                display_name="CV Uji",
                tax_number="092345679012000",
                owners=[
                    organization_pb2.Owner(
                        person_id=company.persons["owner"], kind=organization_pb2.OWNERSHIP_KIND_DIRECTOR
                    )
                ],
            )
        ),
        by="access_administrator",
    )
    return str(reply.legal_entity_id)


def read(company: Company) -> None:
    """The other mutations, and all that identity can be asked."""
    by = "access_administrator"
    agency = company.read(organization_pb2.GetAgencyRequest(name=f"agencies/{company.agencies['unit']}"), by="auditor")
    agency.display_name = "Uji, bernama baru"
    company.act(organization_pb2.UpdateAgencyRequest(agency=agency, update_mask=mask("display_name")), by=by)
    official = company.read(
        person_pb2.GetPersonRequest(
            name=f"persons/{company.persons['second_official']}", view=person_pb2.PERSON_VIEW_FULL
        ),
        by=by,
    )
    official.phone = "+62215550100"
    company.act(person_pb2.UpdatePersonRequest(person=official, update_mask=mask("phone")), by=by)
    # Last, and so the example of the tests: what every holder of the permission may see.
    company.read(person_pb2.GetPersonRequest(name=official.name), by=by)
    grant = _grant(company, "second_official", "hr.officer")
    company.act(access_pb2.RevokeGrantRequest(name=grant.name, reason="uji"), by=by)
    found_entity = company.read(organization_pb2.ListLegalEntitiesRequest(tax_number="092345679012000"), by=by)
    company.read(organization_pb2.GetLegalEntityRequest(name=found_entity.legal_entities[0].name), by=by)
    company.read(organization_pb2.ListAgenciesRequest(page_size=5), by="auditor")
    company.read(person_pb2.LookUpPersonRequest(national_id=person(1, "").national_id), by=by)
    company.read(person_pb2.ListPersonsRequest(page_size=5), by=by)
    company.read(access_pb2.ListRolesRequest(page_size=5), by=by)
    company.read(access_pb2.ListGrantsRequest(agency_id=company.agencies["government"]), by=by)
    company.read(token_pb2.GetJsonWebKeySetRequest(name="jsonWebKeySet"), by=OPERATOR)
    company.read(
        token_pb2.IssueTokenRequest(
            client_assertion=assertion(company), subject=company.persons["auditor"], audiences=["finance"]
        ),
        by=OPERATOR,
    )


def assertion(company: Company) -> str:
    """A client assertion of the operator's key; good for one token."""
    assert company.system.directory is not None, "the tests run the platform themselves"
    return auth.issue_token(
        auth.load_key(company.system.directory / "keys" / "operator.jwk"),
        issuer=OPERATOR,
        subject=OPERATOR,
        audience=[ServiceSettings.model_fields["token_issuer"].default],
        lifetime_seconds=60,
    )
