"""The observers that a configuration asks for."""

import asyncio
import subprocess
import sys

from modelsat.artifacts.schemas import ROUTING_LOG
from modelsat.artifacts.store import read_table
from serve_app.config import ObservabilityOptions
from serve_app.observe.observation import Observation
from serve_app.observe.request_metrics import Readings
from tests.support.serve_app.observe_parts import (
    PrometheusInstruments,
    make_record,
    make_state,
)


def test_a_stopping_replica_writes_and_exports_everything(tmp_path):
    instruments = PrometheusInstruments()
    state = make_state(4, "small", "large")
    options = ObservabilityOptions.model_validate(
        {"routing_log": {"folder": str(tmp_path), "flush_interval_s": 3600}}
    )

    async def serve():
        observation = Observation(options, lambda: state, ["auto"], instruments=instruments)
        sampled = asyncio.Event()

        def read():
            sampled.set()
            return Readings(in_flight=2)

        observation.start(read)
        for observer in observation.observers:
            observer.finished(make_record())
        await sampled.wait()
        await observation.close()

    asyncio.run(serve())
    assert instruments.value("modelsat_in_flight") == 2
    assert instruments.value("modelsat_zoo_version") == 4
    (path,) = tmp_path.iterdir()
    assert read_table(ROUTING_LOG, path).num_rows == 1


def test_spans_and_prompts_are_collected_only_if_they_are_exported(tmp_path):
    def made(**options):
        return Observation(
            ObservabilityOptions.model_validate(options),
            lambda: make_state(1, "small"),
            ["auto"],
            instruments=PrometheusInstruments(),
        )

    quiet = made(trace_sample_fraction=0.5, routing_log={"with_prompts": True})
    assert (quiet.sample_fraction, quiet.wants_prompts) == (None, False)
    loud = made(
        trace_sample_fraction=0.5,
        otlp_endpoint="http://127.0.0.1:9",
        routing_log={"with_prompts": True, "folder": str(tmp_path)},
    )
    assert (loud.sample_fraction, loud.wants_prompts) == (0.5, True)
    assert len(loud.observers) == len(quiet.observers) + 2
    asyncio.run(loud.close())


def test_disabled_observers_are_not_imported():
    script = (
        "import sys\n"
        "from serve_app.config import ObservabilityOptions\n"
        "from serve_app.observe.observation import Observation\n"
        "Observation(ObservabilityOptions(), None, [], instruments=type('N', (), "
        "{'make': lambda self, metric: None})())\n"
        "print([m for m in ('ray', 'opentelemetry', 'torch') if m in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"
