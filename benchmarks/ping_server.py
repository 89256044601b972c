"""The two servers of the ping, each a process: `python -m benchmarks.ping_server chain|bare FOLDER`.

`chain` is a service on the chassis with its whole interceptor chain; `bare` is grpcio and nothing else. Both parse
the same request and build the same answer. `FOLDER` holds what `prepare` put there; the address goes to a file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chassis.settings import ROOT

POLICY = 'permit (principal in Role::"ping.reader", action in [Action::"ping.ping.read"], resource);\n'
PATH = "/kelola.ping.v1.PingService/Ping"
# As many as grpcio's own examples have; more threads make a bare server slower, not faster.
_BARE_THREADS = 10


def compile_contract(folder: Path) -> None:
    """Generate the stubs of ping.proto below `folder`, outside gen/."""
    import grpc_tools

    source = folder / "protos" / "kelola" / "ping" / "v1" / "ping.proto"
    source.parent.mkdir(parents=True)
    shutil.copyfile(Path(__file__).with_name("ping.proto"), source)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    imports = [folder / "protos", ROOT / "protos", ROOT / "gen" / "third_party", well_known]
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in imports)]
    outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    subprocess.run([*command, *outputs, "kelola/ping/v1/ping.proto"], check=True)


def address_file(folder: Path, kind: str) -> Path:
    """Where the server of this kind writes its address."""
    return folder / f"{kind}.address"


def _chain(folder: Path) -> int:
    from chassis.container import serve
    from chassis.grpc import rpc
    from chassis.settings import ServiceSettings
    from kelola.ping.v1 import ping_pb2

    class PingService:
        name = "ping"

        @rpc(ping_pb2.DESCRIPTOR.services_by_name["PingService"])
        def ping(self, request: Any, call: Any) -> Any:
            return ping_pb2.PingResponse(text=request.text)

    # Keys, policies and spans come from the environment, as they do for a service of the platform.
    return serve(PingService, ServiceSettings(service="ping", grpc_address_file=address_file(folder, "chain")))


def _bare(folder: Path) -> int:
    import grpc

    from kelola.ping.v1 import ping_pb2, ping_pb2_grpc

    class Bare(ping_pb2_grpc.PingServiceServicer):
        def Ping(self, request: Any, context: Any) -> Any:
            return ping_pb2.PingResponse(text=request.text)

    server = grpc.server(ThreadPoolExecutor(_BARE_THREADS))
    ping_pb2_grpc.add_PingServiceServicer_to_server(Bare(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    fresh = address_file(folder, "bare").with_suffix(".new")
    fresh.write_text(f"127.0.0.1:{port}", encoding="ascii")
    fresh.replace(address_file(folder, "bare"))
    server.wait_for_termination()
    return 0


def main(kind: str, folder: Path) -> int:
    """Serve until a signal."""
    # `kelola` is a package of many folders (gen/ is another): this one is added behind.
    sys.path.append(str(folder))
    return {"chain": _chain, "bare": _bare}[kind](folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
