"""Build `gen/` from `protos/`: python -m tools.protos

- `gen/third_party/`: the protos that ours import, as text for buf and protoc. google/* come from the wheel
  googleapis-common-protos; buf/validate/validate.proto is printed from the descriptor that protovalidate
  carries, since its wheel holds no text. None of them is committed.
- `gen/kelola/**`: messages, stubs and their types; `gen/buf/validate/validate_pb2.py` beside them.
- `gen/kelola.binpb`: the FileDescriptorSet with comments, for docs and descriptor tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import descriptor_pb2 as d
from google.rpc import status_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTOS, GEN = ROOT / "protos", ROOT / "gen"

_GOOGLE = (
    "google/api/annotations.proto google/api/client.proto google/api/field_behavior.proto google/api/http.proto "
    "google/api/launch_stage.proto google/api/resource.proto google/longrunning/operations.proto "
    "google/rpc/status.proto google/rpc/error_details.proto google/type/date.proto google/type/decimal.proto "
    "google/type/money.proto"
).split()
# The wheel's text has another name than the file that its module registers, which importers must name.
_TEXTS = {"google/longrunning/operations.proto": "google/longrunning/operations_proto.proto"}

_SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in d.FieldDescriptorProto.Type.items()
    if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}


def _validate_descriptor() -> d.FileDescriptorProto:
    from protovalidate._gen.buf.validate import validate_pb

    raw = validate_pb._DESC.proto.to_binary()
    return d.FileDescriptorProto.FromString(raw)


def _type_of(field: d.FieldDescriptorProto) -> str:
    return field.type_name or _SCALARS[field.type]


def _field(field: d.FieldDescriptorProto, syntax: str, indent: str) -> str:
    label = ""
    if field.label == field.LABEL_REPEATED:
        label = "repeated "
    elif field.label == field.LABEL_REQUIRED:
        label = "required "
    elif field.proto3_optional or (syntax == "proto2" and not field.HasField("oneof_index")):
        label = "optional "
    return f"{indent}{label}{_type_of(field)} {field.name} = {field.number};"


def _enum(enum: d.EnumDescriptorProto, indent: str) -> list[str]:
    lines = [f"{indent}enum {enum.name} {{"]
    if enum.options.allow_alias:
        lines.append(f"{indent}  option allow_alias = true;")
    lines += [f"{indent}  {value.name} = {value.number};" for value in enum.value]
    return [*lines, f"{indent}}}"]


def _extend(fields: list[d.FieldDescriptorProto], syntax: str, indent: str) -> list[str]:
    lines: list[str] = []
    for field in fields:
        lines += [f"{indent}extend {field.extendee} {{", _field(field, syntax, indent + "  "), f"{indent}}}"]
    return lines


def message_text(message: d.DescriptorProto, syntax: str, indent: str = "") -> list[str]:
    """The declaration of a message, and of those inside it, as lines of proto source."""
    inner, lines = indent + "  ", [f"{indent}message {message.name} {{"]
    for enum in message.enum_type:
        lines += _enum(enum, inner)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            lines += message_text(nested, syntax, inner)
    for oneof_index, oneof in enumerate(message.oneof_decl):
        members = [
            f
            for f in message.field
            if f.HasField("oneof_index") and f.oneof_index == oneof_index and not f.proto3_optional
        ]
        if members:
            lines.append(f"{inner}oneof {oneof.name} {{")
            lines += [f"{inner}  {_type_of(f)} {f.name} = {f.number};" for f in members]
            lines.append(f"{inner}}}")
    maps = {n.name: n for n in message.nested_type if n.options.map_entry}
    for field in message.field:
        if field.HasField("oneof_index") and not field.proto3_optional:
            continue
        entry = maps.get(field.type_name.rpartition(".")[2])
        if entry is not None:
            key, value = (_type_of(part) for part in entry.field)
            lines.append(f"{inner}map<{key}, {value}> {field.name} = {field.number};")
        else:
            lines.append(_field(field, syntax, inner))
    for span in message.extension_range:
        lines.append(f"{inner}extensions {span.start} to {'max' if span.end > 2**29 - 2 else span.end - 1};")
    lines += _extend(list(message.extension), syntax, inner)
    return [*lines, f"{indent}}}"]


def proto_text(file: d.FileDescriptorProto) -> str:
    """The declarations of `file` as proto source: names, types and numbers, without comments and options."""
    syntax = file.syntax or "proto2"
    lines = [f'syntax = "{syntax}";', f"package {file.package};"]
    lines += [f'import "{name}";' for name in file.dependency]
    for enum in file.enum_type:
        lines += _enum(enum, "")
    for message in file.message_type:
        lines += message_text(message, syntax, "")
    lines += _extend(list(file.extension), syntax, "")
    return "\n".join(lines) + "\n"


def _write_third_party(third_party: Path) -> None:
    google_root = Path(status_pb2.__file__).parent.parent.parent
    for name in _GOOGLE:
        target = third_party / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(google_root / _TEXTS.get(name, name), target)
    target = third_party / "buf/validate/validate.proto"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(proto_text(_validate_descriptor()), encoding="utf-8")


def _protoc(third_party: Path, *arguments: str) -> None:
    import grpc_tools

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTOS}",
        f"-I{third_party}",
        f"-I{well_known}",
    ]
    environment_path = f"{Path(sys.executable).parent}"
    subprocess.run([*command, *arguments], check=True, cwd=ROOT, env={"PATH": f"{environment_path}:/usr/bin:/bin"})


def build(target: Path = GEN) -> None:
    """Make `target` anew from the protos; what was there stays until all of it has been built."""
    with TemporaryDirectory(prefix=".gen-", dir=target.parent) as scratch:
        fresh = Path(scratch) / "gen"
        fresh.mkdir()
        third_party = fresh / "third_party"
        _write_third_party(third_party)
        ours = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
        code = (f"--python_out={fresh}", f"--mypy_out=quiet:{fresh}")
        _protoc(third_party, *code, f"--grpc_python_out={fresh}", f"--mypy_grpc_out=quiet:{fresh}", *ours)
        _protoc(third_party, *code, "buf/validate/validate.proto")
        image = fresh / "kelola.binpb"
        _protoc(third_party, f"--descriptor_set_out={image}", "--include_imports", "--include_source_info", *ours)
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)
    print(f"{len(ours)} protos -> {target}")


if __name__ == "__main__":
    build()
