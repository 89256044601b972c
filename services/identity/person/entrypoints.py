"""PersonService: what each RPC does, in order."""

from __future__ import annotations

from nameko.extensions import DependencyProvider

from chassis import audit
from chassis.grpc import rpc
from chassis.ids import new_id
from chassis.paging import Page
from chassis.wire import resource_id
from kelola.identity.v1 import person_pb2
from services.identity import key_files
from services.identity.person import domain, sealing, store, usecases, wire

PERSONS = person_pb2.DESCRIPTOR.services_by_name["PersonService"]
READ_PERSONAL_DATA = "identity.person.read_personal_data"


class SealingKeys(DependencyProvider):
    """The keys that seal personal data, from the file in the settings; made at the first start when missing."""

    def setup(self) -> None:
        """Read the keys; a start error when the file is not what it should be."""
        file = self.container.settings.key_file("sealing_keys")
        key_files.ensure(file, sealing.new_key_file_content)
        self.sealer = sealing.load(file)

    def get_dependency(self, worker_ctx: object) -> sealing.Sealer:
        """The sealer, the same for every worker."""
        return self.sealer


class PersonEntrypoints:
    """The RPCs of PersonService. Persons are outside the agency wall, so readings need no agencies."""

    @rpc(PERSONS)
    def register_person(self, request, call):
        details = wire.details(request.person)
        with self.db.begin(call) as work:
            person = usecases.register_person(
                work.session,
                new_id(),
                details,
                national_id_type=request.person.national_id_type,
                sealer=self.sealer,
                at=call.now,
                today=self.clock.today(),
            )
            reply = person_pb2.RegisterPersonResponse(person=wire.person_message(person))
            work.reply(reply, resource=reply.person.name)
        return work.answer

    @rpc(PERSONS)
    def get_person(self, request, call):
        person_id = resource_id(wire.COLLECTION, request.name)
        if request.view != person_pb2.PERSON_VIEW_FULL:
            with self.db.read(call) as session:
                return wire.person_message(usecases.get_person(session, person_id, sealer=self.sealer))
        call.principal.require(READ_PERSONAL_DATA)
        with self.db.work((), subject=call.principal.subject) as session:
            person = usecases.get_person(session, person_id, sealer=self.sealer)
            audit.personal_data_read(session, call, person_id=person_id, fields=domain.filled(person.details))
        return wire.person_message(person, full=True)

    @rpc(PERSONS)
    def look_up_person(self, request, call):
        with self.db.work((), subject=call.principal.subject) as session:
            person = usecases.look_up_person(session, request.national_id_type, request.national_id, sealer=self.sealer)
            audit.personal_data_read(session, call, person_id=person.person_id, fields=["national_id"])
        return person_pb2.LookUpPersonResponse(person=wire.person_message(person))

    @rpc(PERSONS)
    def list_persons(self, request, call):
        page = Page.of(request)
        with self.db.read(call) as session:
            persons = store.persons_after(session, page.after[0] if page.after else None, page.size + 1, self.sealer)
        return person_pb2.ListPersonsResponse(
            persons=[wire.person_message(person) for person in persons[: page.size]],
            next_page_token=page.token([persons[page.size - 1].person_id]) if len(persons) > page.size else "",
        )

    @rpc(PERSONS)
    def update_person(self, request, call):
        person_id, changes = resource_id(wire.COLLECTION, request.person.name, "person.name"), wire.changes(request)
        with self.db.begin(call) as work:
            person = usecases.update_person(
                work.session,
                person_id,
                changes,
                etag=request.person.etag,
                sealer=self.sealer,
                at=call.now,
                today=self.clock.today(),
            )
            work.reply(wire.person_message(person))
        return work.answer
