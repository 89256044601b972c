"""The parts of the RPC door that need no socket: policies, keys, statuses, methods, handlers, workers."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
from google.rpc import error_details_pb2
from nameko.extensions import DependencyProvider
from nameko.testing.services import worker_factory

from chassis import auth
from chassis.container import NativeContainer, every
from chassis.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    KelolaError,
    ResourceExhausted,
    Unavailable,
)
from chassis.grpc.caps import Cap
from chassis.grpc.handlers import snake_case
from chassis.grpc.status import grpc_code, internal_status, refusal_of, status_of
from chassis.policy import Policy, PolicyBroken
from chassis.settings import ROOT, ServiceSettings
from chassis.testing import wait_until
from chassis.transaction_flag import open_transaction, transaction_is_open

# --- policies ----------------------------------------------------------------------------------------------

POLICIES = """
permit (principal in Role::"finance.treasurer", action in [Action::"finance.payment_order.issue"], resource);
permit (principal in Role::"auditor", action in Action::"read", resource);
permit (principal in Role::"operator", action in Action::"identity", resource);
forbid (principal in Role::"auditor", action in [Action::"finance.secret.read"], resource);
"""


def test_a_role_holds_what_a_policy_permits_and_nothing_else() -> None:
    policy = Policy(POLICIES)

    assert policy.role_holds("finance.treasurer", "finance.payment_order.issue")
    assert not policy.role_holds("finance.treasurer", "finance.payment_order.read")
    assert not policy.role_holds("nobody", "finance.payment_order.issue")


def test_an_auditor_reads_everything_and_changes_nothing() -> None:
    policy = Policy(POLICIES)

    assert policy.role_holds("auditor", "hr.payslip.read")
    assert not policy.role_holds("auditor", "hr.payslip.create")
    assert not policy.role_holds("auditor", "finance.secret.read"), "a forbid outweighs every permit"


def test_a_service_is_a_group_of_its_permissions() -> None:
    policy = Policy(POLICIES)

    assert policy.role_holds("operator", "identity.person.register")
    assert not policy.role_holds("operator", "finance.payment_order.issue")


def test_roles_and_permissions_are_those_that_policies_name() -> None:
    policy = Policy(POLICIES)

    assert policy.roles() == ["auditor", "finance.treasurer", "operator"]
    assert policy.permissions() == ["finance.payment_order.issue", "finance.secret.read"]


def test_a_broken_policy_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "good.cedar").write_text(POLICIES)
    (tmp_path / "bad.cedar").write_text("permit (principal in Role::auditor, action, resource);")

    with pytest.raises(PolicyBroken, match=r"bad\.cedar"):
        Policy.load(tmp_path)


def test_a_folder_without_policies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyBroken, match="KELOLA_POLICIES_DIR"):
        Policy.load(tmp_path)


def test_the_policies_of_the_repository_parse() -> None:
    policy = Policy.load(ROOT / "deploy" / "policies")

    assert {"auditor", "operator"} <= set(policy.roles())


# --- keys --------------------------------------------------------------------------------------------------


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _publish(file: Path, *keys: auth.SigningKey) -> None:
    file.write_text(json.dumps(auth.public_jwks(keys)))


def test_a_new_key_is_found_by_reading_again_but_not_at_every_made_up_id(tmp_path: Path) -> None:
    file, clock = tmp_path / "jwks.json", _Clock()
    _publish(file, auth.new_key("a"))
    source = auth.KeySource(file.as_uri(), clock=clock)
    assert source.key("a") is not None
    _publish(file, auth.new_key("a"), auth.new_key("b"))

    assert source.key("b") is None, "it was read a moment ago"
    clock.now += 6

    assert source.key("b") is not None


def test_keys_hold_ten_minutes_without_their_issuer_and_no_longer(tmp_path: Path) -> None:
    file, clock = tmp_path / "jwks.json", _Clock()
    _publish(file, auth.new_key("a"))
    source = auth.KeySource(file.as_uri(), clock=clock)
    assert source.key("a") is not None
    file.unlink()

    clock.now += 599
    assert source.key("a") is not None
    clock.now += 6
    with pytest.raises(auth.KeysUnavailable):
        source.key("a")


def test_a_key_that_the_issuer_withdrew_is_gone_after_five_minutes(tmp_path: Path) -> None:
    file, clock = tmp_path / "jwks.json", _Clock()
    _publish(file, auth.new_key("a"), auth.new_key("b"))
    source = auth.KeySource(file.as_uri(), clock=clock)
    assert source.key("b") is not None
    _publish(file, auth.new_key("a"))

    clock.now += 301

    assert source.key("b") is None


@pytest.mark.parametrize("url", ["ftp://x/jwks", "/jwks.json", "data:application/json,{}"])
def test_keys_come_from_files_and_http_alone(url: str) -> None:
    with pytest.raises(ValueError, match="JWKS address"):
        auth.KeySource(url)


def test_a_private_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    auth.write_key(auth.new_key("finance"), file)

    assert file.stat().st_mode & 0o077 == 0
    assert auth.load_key(file).kid == "finance"


def test_a_public_key_is_no_signing_key(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(auth.new_key("finance").as_dict(private=False)))

    with pytest.raises(ValueError, match="private"):
        auth.load_key(file)


# --- statuses ----------------------------------------------------------------------------------------------


class Closed(FailedPrecondition):
    reason = "PERIOD_CLOSED"


def _details(status: Any, kind: Any) -> list[Any]:
    found = []
    for detail in status.details:
        holder = kind()
        if detail.Unpack(holder):
            found.append(holder)
    return found


def test_every_refusal_has_one_error_info_with_our_domain() -> None:
    for kind in KelolaError.__subclasses__():
        status = status_of(kind("words", metadata={"figure": "1"}))
        (info,) = _details(status, error_details_pb2.ErrorInfo)

        assert (info.domain, info.reason, dict(info.metadata)) == ("kelola", kind.reason, {"figure": "1"})
        assert status.code == kind.code.value
        assert grpc_code(kind.code).value[0] == kind.code.value


def test_fields_at_fault_are_a_bad_request_and_have_an_end() -> None:
    many = tuple(FieldViolation(f"lines[{number}].amount", "too long " * 500) for number in range(500))

    status = status_of(InvalidArgument("many", violations=many))

    (bad,) = _details(status, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "lines[0].amount"
    assert len(bad.field_violations) > 5
    assert status.ByteSize() < 5_000, "it travels in a trailer, and clients may refuse more than 8 kB"


def test_figures_and_words_have_an_end_too() -> None:
    status = status_of(Closed("é" * 9_000, metadata={f"figure_{n}": "9" * 9_000 for n in range(200)}))

    (info,) = _details(status, error_details_pb2.ErrorInfo)
    assert info.reason == "PERIOD_CLOSED"
    assert info.metadata["figure_0"]
    assert status.ByteSize() < 5_000


def test_a_precondition_names_its_type_and_a_full_server_the_time() -> None:
    (failure,) = _details(status_of(Closed("2026-01 is closed")), error_details_pb2.PreconditionFailure)
    (retry,) = _details(status_of(ResourceExhausted("full")), error_details_pb2.RetryInfo)
    (later,) = _details(status_of(Unavailable("away", retry_after_seconds=7)), error_details_pb2.RetryInfo)

    assert failure.violations[0].type == "PERIOD_CLOSED"
    assert (retry.retry_delay.seconds, later.retry_delay.seconds) == (1, 7)


def test_an_unforeseen_failure_is_no_refusal() -> None:
    assert refusal_of(ValueError("secret")) is None
    assert internal_status("E-1").message.endswith("E-1")


# --- caps --------------------------------------------------------------------------------------------------


def test_a_place_is_given_back_also_after_a_failure() -> None:
    cap = Cap(1, "calls")

    def fail_in_the_only_place() -> None:
        with cap.place():
            with pytest.raises(ResourceExhausted), cap.place():
                pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_only_place()
    with cap.place():
        pass


# --- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("GetPerson", "get_person"),
        ("GetJsonWebKeySet", "get_json_web_key_set"),
        ("ImportSPDLines", "import_spd_lines"),
        ("Ping", "ping"),
    ],
)
def test_a_handler_has_its_rpcs_name_in_snake_case(name: str, method: str) -> None:
    assert snake_case(name) == method


# --- settings ----------------------------------------------------------------------------------------------


def test_settings_come_from_the_environment_and_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KELOLA_SERVICE", "finance")
    monkeypatch.setenv("KELOLA_GRPC_PORT", "50051")
    monkeypatch.setenv("KELOLA_PEERS", '{"hr": "127.0.0.1:1"}')
    settings = ServiceSettings()  # type: ignore[call-arg]
    monkeypatch.setenv("KELOLA_GRPC_PORT", "70000")

    assert (settings.service, settings.grpc_port, settings.peers) == ("finance", 50051, {"hr": "127.0.0.1:1"})
    with pytest.raises(ValueError, match="grpc_port"):
        ServiceSettings()  # type: ignore[call-arg]


def test_the_pool_has_more_threads_than_the_caps() -> None:
    settings = ServiceSettings(service="finance", calls_max=5, streams_max=2)

    assert settings.threads > 7


# --- workers -----------------------------------------------------------------------------------------------


class Numbers(DependencyProvider):
    """Notes its worker's life."""

    lives: ClassVar[list[str]] = []

    def get_dependency(self, worker_ctx: Any) -> int:
        return 7

    def worker_setup(self, worker_ctx: Any) -> None:
        self.lives.append("setup")

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        self.lives.append("failed" if exc_info else "done")

    def worker_teardown(self, worker_ctx: Any) -> None:
        self.lives.append("teardown")


class Beating:
    name = "beating"
    numbers = Numbers()
    beats: ClassVar[list[int]] = []

    @every(0.02)
    def beat(self) -> None:
        self.beats.append(self.numbers)  # type: ignore[arg-type]
        if len(self.beats) == 2:
            raise ValueError("the second beat fails")


def test_a_repeated_task_goes_on_after_a_failure_and_ends_with_its_service() -> None:
    Beating.beats.clear()
    Numbers.lives.clear()
    container = NativeContainer(Beating, ServiceSettings(service="beating"))

    container.start()
    wait_until(lambda: len(Beating.beats) >= 4)
    drained = container.stop(5)
    count = len(Beating.beats)
    time.sleep(0.1)

    assert drained
    assert len(Beating.beats) == count
    assert set(Beating.beats) == {7}
    assert Numbers.lives[:6] == ["setup", "done", "teardown", "setup", "failed", "teardown"]
    assert not [thread for thread in threading.enumerate() if thread.name == "every-beat"]


def test_namekos_worker_factory_makes_a_service_without_its_container() -> None:
    service = worker_factory(Beating, numbers=41)
    Beating.beats.clear()

    service.beat()

    assert Beating.beats == [41]


def test_a_failed_start_stops_what_was_started() -> None:
    stopped: list[str] = []

    class Good(DependencyProvider):
        def stop(self) -> None:
            stopped.append("good")

    class Bad(DependencyProvider):
        def setup(self) -> None:
            raise RuntimeError("no database")

    class Service:
        name = "failing"
        a_good = Good()
        b_bad = Bad()

    container = NativeContainer(Service, ServiceSettings(service="failing"))

    with pytest.raises(RuntimeError, match="no database"):
        container.start()

    assert stopped == ["good"]


def test_a_thread_that_fails_wakes_whoever_waits() -> None:
    container = NativeContainer(Beating, ServiceSettings(service="beating"))

    def fail() -> None:
        raise OSError("the consumer lost its broker")

    container.spawn_managed_thread(fail)

    with pytest.raises(OSError, match="broker"):
        container.wait()


def test_an_open_transaction_is_known_to_its_own_thread_alone() -> None:
    seen: list[bool] = []
    with open_transaction():
        with open_transaction():
            seen.append(transaction_is_open())
        seen.append(transaction_is_open())
        other = threading.Thread(target=lambda: seen.append(transaction_is_open()))
        other.start()
        other.join()
    seen.append(transaction_is_open())

    assert seen == [True, True, False, False]


def test_codes_are_those_of_grpc() -> None:
    assert grpc_code(Unavailable.code) is grpc.StatusCode.UNAVAILABLE
