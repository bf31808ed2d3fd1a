"""One endpoint over fake upstreams, configured for every test that needs no more than these."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.serve_app.administered import AS_CLIENT, write_keys
from tests.support.serve_app.fuzzing import CAPABLE
from tests.support.serve_app.reliability import Endpoint, serving

NAMES = ("alder", "birch", "cedar", "dogwood")
NARROW = "birch"  # its context window is small
NUM_PLACES = 60  # and as many requests may wait for one


@contextmanager
def serving_fleet(root: Path, router: Path, traces_url: str) -> Iterator[Endpoint]:
    """Serve four candidates that are all down when the endpoint starts.

    Args:
        root: empty folder.
        router: router directory.
        traces_url: where traces go.
    """
    entries = {name: dict(CAPABLE) for name in NAMES}
    entries[NARROW]["context_window"] = 512
    with serving(
        root,
        router,
        NAMES,
        entries=entries,
        headers=AS_CLIENT,
        ingress={"max_in_flight": NUM_PLACES, "max_queued": NUM_PLACES, "queue_timeout_s": 5},
        routing={"scorer_pause_s": 1},
        security={"keys": write_keys(root / "keys.yaml")},
        observability={
            "otlp_endpoint": traces_url,
            "routing_log": {"folder": str(root / "log"), "flush_interval_s": 1},
        },
    ) as endpoint:
        yield endpoint
