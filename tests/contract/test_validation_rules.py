"""Every rule in the protos compiles: services compile a message's rules when they first meet it, not at their start."""

from __future__ import annotations

import protovalidate
import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor

from tools.descriptors import IMAGE, contracts


@pytest.fixture
def pool() -> descriptor_pool.DescriptorPool:
    """All protos of the repository, and what they stand on."""
    image = descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes())
    made = descriptor_pool.DescriptorPool()
    for file in image.file:
        made.Add(file)
    return made


def broken(descriptor: Descriptor) -> str:
    """What is wrong with the rules of this message; nothing when they are sound."""
    try:
        protovalidate.collect_violations(message_factory.GetMessageClass(descriptor)())
    except (protovalidate.CompilationError, protovalidate.EvaluationError) as problem:
        return f"{descriptor.full_name}: {problem}"
    return ""


def test_every_rule_compiles(pool: descriptor_pool.DescriptorPool):
    names = list(contracts().messages)

    assert len(names) > 500
    assert [problem for name in names if (problem := broken(pool.FindMessageTypeByName(name)))] == []


@pytest.mark.parametrize("expression", ["this.no_such_field > 1", "this.units >"])
def test_a_broken_rule_is_found(pool: descriptor_pool.DescriptorPool, expression: str):
    file = descriptor_pb2.FileDescriptorProto(
        name="broken.proto", package="broken", syntax="proto3", dependency=["buf/validate/validate.proto"]
    )
    message = file.message_type.add(name="Broken")
    message.field.add(name="units", number=1, type="TYPE_INT64", label="LABEL_OPTIONAL")
    rule = message.options.Extensions[validate_pb2.message].cel.add()
    rule.id, rule.message, rule.expression = "broken", "is broken", expression
    pool.Add(file)

    assert "broken.Broken" in broken(pool.FindMessageTypeByName("broken.Broken"))
