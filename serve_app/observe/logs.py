"""One log line per finished request: a short message, and every fact as a field.

Under Ray Serve's JSON encoding (``logging_config: {encoding: JSON}``) each line is one JSON object
with the fields below beside the standard ones; under its text encoding only the message is shown.
Lines go to the replica's own log file, not to standard error as well.
"""

import logging
from typing import Any

from serve_app.contracts.request_record import RequestRecord

# A child of Serve's logger, whose handlers write the replica's log file.
REQUEST_LOGGER = "ray.serve.modelsat"
# Understood and removed by Serve: write no second copy to standard error; leave out the context
# of the task, which costs more than the line and would put Serve's request id in place of ours.
_SERVE_FLAGS = {"log_to_stderr": False, "skip_context_filter": True}
# Serve, optimised for throughput, buffers 1,000 lines and then formats and writes them at once: at
# about 50 microseconds each this blocks the process for 50 ms, and with little traffic the last
# lines are hours old. 32 lines take 2 ms.
_LINES_PER_FLUSH = 32


class RequestLog:
    """Logs each request, as an observer."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        """Use a logger; Serve's log file by default."""
        self._logger = logger or logging.getLogger(REQUEST_LOGGER)
        self._num_waiting = 0

    def finished(self, record: RequestRecord) -> None:
        """Log a request; see :class:`serve_app.contracts.request_record.Observer`."""
        if self._logger.isEnabledFor(logging.INFO):
            fields = request_fields(record)
            self._logger.info(
                "%s %s -> %s %d",
                fields["endpoint"],
                fields["requested"],
                fields["candidate"],
                record.status,
                extra={**fields, **_SERVE_FLAGS},
            )
            self._num_waiting += 1
            if self._num_waiting >= _LINES_PER_FLUSH:
                self.flush()

    def flush(self) -> None:
        """Write the lines that handlers have buffered."""
        self._num_waiting = 0
        logger: logging.Logger | None = self._logger
        while logger is not None:
            for handler in logger.handlers:
                handler.flush()
            logger = logger.parent if logger.propagate else None


def request_fields(record: RequestRecord) -> dict[str, Any]:
    """The facts of a request as JSON values; times in milliseconds.

    ``requested`` is the model that the client named if the endpoint serves it, otherwise None: an
    unknown name is client text.
    """
    return {
        "request_id": record.request_id,
        "endpoint": record.endpoint,
        "requested": record.requested,
        "candidate": record.candidate,
        "routed": record.routed,
        "reason": record.reason,
        "confidence": _rounded(record.confidence, 4),
        "status": record.status,
        "error_code": record.error_code,
        "attempts": [
            {"candidate": candidate, "outcome": outcome, "ms": _ms(seconds)}
            for candidate, outcome, seconds in record.attempts
        ],
        "stream": record.stream,
        "session": record.session,
        "duration_ms": _ms(record.duration_s),
        "first_byte_ms": _ms(
            None if record.first_byte_s is None else record.first_byte_s - record.started_s
        ),
        "overhead_ms": _ms(record.overhead_s),
        "routing_ms": _ms(record.routing_s),
        "upstream_ms": _ms(record.upstream_s),
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "cost_usd": record.cost_usd,
        "key": record.key,
        "zoo_version": record.zoo_version,
        "trace_id": None if record.trace is None else record.trace.trace_id,
    }


def _ms(seconds: float | None) -> float | None:
    return _rounded(None if seconds is None else 1e3 * seconds, 2)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
