"""Server reflection, v1 and v1alpha, so that `kelola call` and any generic client need no protos.

The installed package knows v1alpha alone; v1 has the same messages under another package name, so its
descriptor is built from that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

ALPHA, STABLE = "grpc.reflection.v1alpha", "grpc.reflection.v1"
SERVICE_NAMES = (f"{STABLE}.ServerReflection", f"{ALPHA}.ServerReflection")


def _register_v1() -> None:
    """Make grpc.reflection.v1 known to the descriptor pool, so that the service can describe itself."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName("grpc/reflection/v1/reflection.proto")
        return
    except KeyError:
        pass
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", STABLE
    for message in file.message_type:
        # Setting an empty type_name would count as having one.
        for field in (one for one in message.field if one.type_name):
            field.type_name = field.type_name.replace(f".{ALPHA}.", f".{STABLE}.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(f".{ALPHA}.", f".{STABLE}.")
            method.output_type = method.output_type.replace(f".{ALPHA}.", f".{STABLE}.")
    pool.AddSerializedFile(file.SerializeToString())


def reflection_handlers(services: Iterable[str], cap: Any) -> list[grpc.GenericRpcHandler[Any, Any]]:
    """The reflection service under both names. `cap` bounds how many of its streams hold a thread."""
    _register_v1()
    servicer = reflection.ReflectionServicer([*services, *SERVICE_NAMES])

    def info(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        with cap.place():
            answers: Any = servicer.ServerReflectionInfo
            yield from answers(requests, context)

    handler = grpc.stream_stream_rpc_method_handler(
        info,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return [grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in SERVICE_NAMES]
