"""nameko's container on native threads: one worker life is a `with` on the thread that brought the call.

nameko's extensions, binding, decorators and worker hooks are kept. Its start, stop, wait and spawning are
replaced, because they rest on eventlet's hub, which runs in no thread of ours. Nothing is monkey-patched.
"""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog
from nameko.containers import ServiceContainer, WorkerContext
from nameko.extensions import Entrypoint

from chassis import country_pack, telemetry
from chassis.settings import ServiceSettings

log = structlog.get_logger("chassis.container")


class NativeContainer(ServiceContainer):
    """Holds one service: starts its extensions, gives each call a worker, drains, stops.

    Extensions find the settings in `self.container.settings` and in `self.container.config["settings"]`.
    """

    def __init__(self, service_cls: type, settings: ServiceSettings) -> None:
        super().__init__(service_cls, {"settings": settings})
        self.settings = settings
        country_pack.choose(settings.country_pack_dir)
        # A signal number or an exception; put() is safe in a signal handler.
        self._news: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._running = 0
        self._threads: list[threading.Thread] = []
        self._started: list[Any] = []
        # Set at the beginning of stop(): loops end at the next chance, waits on it return at once.
        self.stopping = threading.Event()

    def start(self) -> None:
        """Set up every extension, then start them: resources first, doors last, each group by name.

        When one fails, those that were set up are stopped, and the failure is raised.
        """
        dependencies = sorted(self.dependencies, key=lambda dependency: str(dependency.attr_name))
        entrypoints = sorted(self.entrypoints, key=lambda entrypoint: str(entrypoint.method_name))
        extensions = list(dict.fromkeys([*dependencies, *entrypoints, *self.subextensions]))
        try:
            for extension in extensions:
                self._started.append(extension)
                extension.setup()
            for extension in extensions:
                extension.start()
        except BaseException:
            self.stop(grace=1.0)
            raise
        log.info("service started", service=self.service_name, pid=os.getpid())

    @contextmanager
    def worker(
        self, entrypoint: Entrypoint, args: tuple[Any, ...] = (), data: dict[str, Any] | None = None
    ) -> Iterator[Callable[..., Any]]:
        """One worker life on the caller's own thread, for as long as the caller holds it: a stream too."""
        with self._idle:
            self._running += 1
        try:
            context = WorkerContext(self, self.service_cls(), entrypoint, args, data=data)
            failure: Any = None
            try:
                self._inject_dependencies(context)
                self._worker_setup(context)
                yield getattr(context.service, entrypoint.method_name)
            except BaseException:
                failure = sys.exc_info()
                raise
            finally:
                try:
                    self._worker_result(context, None, failure)
                finally:
                    self._worker_teardown(context)
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def spawn_managed_thread(self, fn: Callable[[], None], identifier: str | None = None) -> threading.Thread:
        """Run `fn` in a thread of the service. If it raises, the process ends with status 1."""

        def body() -> None:
            try:
                fn()
            except BaseException as failure:
                self._news.put(failure)

        thread = threading.Thread(target=body, name=identifier, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def spawn_worker(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: nameko's worker would run on eventlet's hub, that is, never."""
        raise NotImplementedError("use `with container.worker(entrypoint, args) as method`")

    def tell(self, news: int | BaseException) -> None:
        """Wake `wait()` with a signal number (an orderly end) or a failure. Safe in a signal handler."""
        self._news.put(news)

    def wait(self) -> None:
        """Until a signal came (returns) or a managed thread failed (raises its exception)."""
        news = self._news.get()
        if isinstance(news, BaseException):
            raise news

    def stop(self, grace: float = 10.0) -> bool:
        """Doors first (they drain), then the workers that still run, then resources, then threads.

        Returns whether every worker ended within `grace` seconds.
        """
        end = time.monotonic() + grace
        self.stopping.set()
        dependencies = [extension for extension in self._started if extension in self.dependencies]
        doors = [extension for extension in self._started if extension not in self.dependencies]
        self._started = []
        for extension in doors:
            self._stop_one(extension)
        with self._idle:
            drained = self._idle.wait_for(lambda: self._running == 0, max(0.0, end - time.monotonic()))
        for extension in dependencies:
            self._stop_one(extension)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        log.info("service stopped", service=self.service_name, drained=drained)
        return drained

    def kill(self, exc_info: Any = None) -> None:
        """Wake `wait()` with the failure; whoever waits there stops the container."""
        self._news.put(exc_info[1] if exc_info else RuntimeError("the container was killed"))

    @staticmethod
    def _stop_one(extension: Any) -> None:
        # One extension that fails to stop must not keep the others open.
        try:
            extension.stop()
        except Exception:
            log.exception("an extension failed to stop", extension=type(extension).__name__)


# Objects that outlived their making since the last look at the young ones.
_COLLECT_EVERY = 20_000


class Every(Entrypoint):
    """`@every(seconds)`: the method runs again and again, `seconds` after it last ended, on one thread.

    A run that raises is logged and the next one comes at its time: a database that is away for a moment
    must not end the service. The first run comes right after the start.
    """

    def __init__(self, seconds: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the loop."""
        self._thread = self.container.spawn_managed_thread(self._loop, f"every-{self.method_name}")

    def stop(self) -> None:
        """The loop ends by the container's `stopping`; a run under way is waited for like any worker."""

    def _loop(self) -> None:
        stopping: threading.Event = self.container.stopping
        pause = 0.0
        while not stopping.wait(pause):
            pause = self.seconds
            try:
                with telemetry.span(f"every {self.method_name}"), self.container.worker(self) as method:
                    method()
            except Exception:
                log.exception("a repeated task failed; it runs again", task=self.method_name)


every: Callable[..., Any] = Every.decorator


def settle_memory() -> None:
    """Keep the cyclic collector from what a start has made: modules, descriptors and rules live to the end.

    A request's objects die by their count; the collector is there for the few that hold each other (an error and its
    frames). Left to itself it visits the whole program every few thousand requests' objects: a fifth of what a batch
    of entries cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 10, 10)


def serve(service_cls: type, settings: ServiceSettings) -> int:
    """Run the service until SIGTERM or SIGINT; the process's exit status.

    0: drained and stopped. 1: the start or a thread of it failed. Calls that still run when the grace is over
    end with the process, at once, with status 2.
    """
    telemetry.start(settings)
    status = 0
    try:
        container = NativeContainer(service_cls, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _teller(container))
        container.start()
        settle_memory()
    except Exception:
        log.exception("the service does not start", service=settings.service)
        telemetry.stop()
        return 1
    try:
        container.wait()
    except Exception:
        log.exception("the service failed", service=settings.service)
        status = 1
    drained = container.stop(settings.grace_seconds)
    telemetry.stop()
    if not drained:
        # The interpreter would wait for the pool's threads, and so for the call that does not end.
        log.error("calls still run when the grace is over; the process ends all the same")
        logging.shutdown()
        os._exit(status or 2)
    return status


def _teller(container: NativeContainer) -> Callable[[int, FrameType | None], None]:
    # A handler only puts into a SimpleQueue: any lock might be held by the thread that it interrupts.
    return lambda number, frame: container.tell(number)
