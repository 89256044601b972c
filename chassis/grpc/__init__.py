"""The gRPC door: `@rpc` methods, the chain that every call passes, health, reflection, statuses."""

from chassis.grpc.entrypoint import rpc

__all__ = ["rpc"]
