"""The observers of one ingress replica, as its configuration enables them."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import replace

from serve_app.config import ObservabilityOptions
from serve_app.contracts.request_record import Observer
from serve_app.contracts.zoo_state import ZooState
from serve_app.observe.instruments import Instruments
from serve_app.observe.logs import RequestLog
from serve_app.observe.request_metrics import Metrics, Readings, sample_regularly


class Observation:
    """The enabled observers and their background work.

    Attributes:
        observers: receive the record of each finished request, in this order.
        sample_fraction: share of traces recorded if the caller has not decided; None: this
            replica makes no spans. For :func:`serve_app.contracts.trace_context.begin_trace`.
        wants_prompts: whether records must hold the scored text.
    """

    def __init__(
        self,
        options: ObservabilityOptions,
        zoo: Callable[[], ZooState],
        profiles: Collection[str],
        *,
        instance: str = "",
        instruments: Instruments | None = None,
    ) -> None:
        """Create the enabled observers; disabled ones are not imported.

        Args:
            options: what is recorded of each request.
            zoo: the current state of the zoo.
            profiles: model names that ask for routing.
            instance: identifies the replica in traces.
            instruments: record metrics; Ray's by default.
        """
        self._metrics = Metrics(zoo, profiles, instruments)
        self._closers: list[Callable[[], None]] = []
        self._sampling: asyncio.Task[None] | None = None
        self._dropped: Callable[[], int] = lambda: 0
        observers: list[Observer] = [self._metrics]
        self._flush_log: Callable[[], None] = lambda: None
        if options.request_log:
            request_log = RequestLog()
            observers.append(request_log)
            self._flush_log = request_log.flush
            self._closers.append(request_log.flush)
        if options.otlp_endpoint is not None:
            from serve_app.observe.tracing import Tracing

            tracing = Tracing(options.otlp_endpoint, instance=instance)
            observers.append(tracing)
            self._closers.append(tracing.close)
        if options.routing_log.folder is not None:
            from serve_app.observe.routing_log import RoutingLog

            log = RoutingLog(options.routing_log)
            observers.append(log)
            self._closers.append(log.close)
            self._dropped = lambda: log.dropped
        self.observers = tuple(observers)
        is_tracing = options.otlp_endpoint is not None
        self.sample_fraction = options.trace_sample_fraction if is_tracing else None
        self.wants_prompts = (
            options.routing_log.folder is not None and options.routing_log.with_prompts
        )

    def start(self, read: Callable[[], Readings]) -> None:
        """Start setting the gauges and writing the log every few seconds; needs a running loop.

        Args:
            read: returns the current state of the replica; the routing log's drops are added to it.
        """

        def complete() -> Readings:
            self._flush_log()
            return replace(read(), routing_log_dropped=self._dropped())

        self._sampling = asyncio.create_task(sample_regularly(self._metrics, complete))

    async def close(self) -> None:
        """Write and send everything pending, for a replica that stops. Takes up to 10 s."""
        if self._sampling is not None:
            self._sampling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sampling
        await asyncio.gather(*(asyncio.to_thread(close) for close in self._closers))
