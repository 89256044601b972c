"""Events that a service takes in: each has its effect exactly once, in its own transaction.

    @on_event(GoodsAccepted)
    def on_goods_accepted(self, event, session):
        usecases.accrue_delivery(session, wire.delivery(event))

The event's id is noted in the same transaction, so a repeat is skipped and a crash leaves nothing half done. A
method that raises is tried again, then its event is parked with the error, and later events of its key behind it;
everything else flows on. Parked events are tried again with growing pauses; a person may retry or drop them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import Message
from nameko.extensions import Entrypoint

from chassis.cloudevent import Event, Malformed
from chassis.consumer import EventConsumer
from chassis.outbox import topic_of
from chassis.parking import Parked, drop, parked, retry

__all__ = ["Event", "Malformed", "OnEvent", "Parked", "drop", "on_event", "parked", "retry"]


class OnEvent(Entrypoint):
    """`@on_event(MessageClass)` on a method `(self, event, session)`."""

    consumer = EventConsumer()

    def __init__(self, message_class: type[Message], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message_class = message_class
        self.topic = topic_of(message_class.DESCRIPTOR)

    @property
    def type_name(self) -> str:
        """The message's full name, which is ce_type."""
        return str(self.message_class.DESCRIPTOR.full_name)

    def setup(self) -> None:
        """Tell the service's consumer of this method."""
        self.consumer.register(self)


on_event: Callable[..., Any] = partial(OnEvent.decorator)
