"""Starts, stops and counts the Serve applications of local candidates.

A separate process imports the engine, deploys and ends, so that this one stays small.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, DeploymentStatus

from modelsat.artifacts.hashing import content_hash
from modelsat.artifacts.store import read_json, write_json
from modelsat.errors import ArtifactError, MachineError, ModelSatError, ZooError
from modelsat.zoo.candidate import Candidate
from serve_app.candidates.engines import cluster_engine_of
from serve_app.candidates.serve_runs import run_candidates
from serve_app.config import CandidateOptions

_PREFIX = "candidate-"
_POLL_INTERVAL_S = 1.0
_DEAD = (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.DELETING)
# States of replicas that answer besides running ones: on a node that is drained, until another
# replica runs; found again by a restarted Serve controller; taking over new options.
_ANSWERING = ("RUNNING", "PENDING_MIGRATION", "RECOVERING", "UPDATING")


class ServeApplications:
    """The applications of the Serve instance that this process belongs to."""

    def __init__(self, options: CandidateOptions, record: Path, startup_timeout_s: float) -> None:
        """Take the settings of all applications.

        Args:
            options: limits for candidates whose entry states none.
            record: JSON file with the configuration hash of each running application.
            startup_timeout_s: time limit for the start of an application, seconds.
        """
        self._options = options
        self._record = record
        self._startup_timeout_s = startup_timeout_s

    async def deploy(self, candidates: Sequence[Candidate]) -> Mapping[str, ModelSatError]:
        """Start applications side by side and wait until they run."""
        if not candidates:
            return {}
        of_one = await self._submit(candidates)
        errors = {c.application_name: of_one[c.name] for c in candidates if c.name in of_one}
        refused = {
            candidate.name: errors[candidate.application_name]
            for candidate in candidates
            if candidate.application_name in errors
        }
        submitted = [candidate for candidate in candidates if candidate.name not in refused]
        failures = await self._wait_until_running(submitted)
        for application in {c.application_name for c in submitted if c.name in failures}:
            await self.delete(application)
        return {**refused, **failures}

    async def delete(self, application: str) -> None:
        """Delete an application; Serve waits for its ``graceful_shutdown_timeout_s``."""
        self._write_record({k: v for k, v in self._read_record().items() if k != application})
        await asyncio.to_thread(serve.delete, application)

    async def replicas(self) -> Mapping[str, int]:
        """Return the number of replicas that take requests, by application of a candidate."""
        return {
            name: sum(
                deployment.replica_states.get(state, 0)
                for deployment in overview.deployments.values()
                for state in _ANSWERING
            )
            for name, overview in (await _overviews()).items()
        }

    async def _submit(self, candidates: Sequence[Candidate]) -> dict[str, ModelSatError]:
        """Deploy the applications that do not run as wanted; return refusals by candidate."""
        num_gpus = (await asyncio.to_thread(ray.cluster_resources)).get("GPU", 0)
        present = {n for n, o in (await _overviews()).items() if o.status not in _DEAD}
        recorded = self._read_record()
        refused: dict[str, ModelSatError] = {}
        new: dict[str, tuple[Candidate, str]] = {}  # one of the candidates of each engine
        for candidate in candidates:
            application, wanted = candidate.application_name, self._configuration_hash(candidate)
            is_present = application in present and recorded.get(application) == wanted
            if is_present or application in new:
                continue
            try:
                cluster_engine_of(candidate).check_hardware(num_gpus)
            except ModelSatError as error:
                refused[candidate.name] = error
            else:
                new[application] = (candidate, wanted)
        if new:
            refused.update(await self._run([candidate for candidate, _ in new.values()]))
            self._write_record(
                {
                    **recorded,
                    **{
                        application: wanted
                        for application, (candidate, wanted) in new.items()
                        if candidate.name not in refused
                    },
                }
            )
        return refused

    async def _run(self, candidates: Sequence[Candidate]) -> dict[str, ModelSatError]:
        run = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(run_candidates)
        try:
            return await run.remote(candidates, self._options)
        except RayTaskError:
            raise
        except RayError as error:
            died = MachineError(
                "the process that deploys the candidates died: "
                f"{' '.join(str(error).split())[:300]}; give it more memory and try again"
            )
            return {candidate.name: died for candidate in candidates}

    async def _wait_until_running(
        self, candidates: Sequence[Candidate]
    ) -> dict[str, ModelSatError]:
        failures: dict[str, ModelSatError] = {}
        waiting: dict[str, list[str]] = {}
        for candidate in candidates:
            waiting.setdefault(candidate.application_name, []).append(candidate.name)
        deadline = asyncio.get_running_loop().time() + self._startup_timeout_s
        while waiting:
            overviews = await _overviews()
            for application, names in list(waiting.items()):
                overview = overviews.get(application)
                if overview is None:
                    continue
                if overview.status == ApplicationStatus.RUNNING:
                    del waiting[application]
                elif overview.status == ApplicationStatus.DEPLOY_FAILED:
                    del waiting[application]
                    reason = failure_reason(overview)
                    for name in names:
                        failures[name] = ZooError(f"candidate {name!r} cannot start: {reason}")
            if waiting and asyncio.get_running_loop().time() > deadline:
                for name in chain.from_iterable(waiting.values()):
                    failures[name] = MachineError(
                        f"candidate {name!r} is not ready after {self._startup_timeout_s:g} s; "
                        "give the cluster more CPUs, GPUs or memory, or raise startup_timeout_s"
                    )
                return failures
            if waiting:
                await asyncio.sleep(_POLL_INTERVAL_S)
        return failures

    def _configuration_hash(self, candidate: Candidate) -> str:
        return content_hash(cluster_engine_of(candidate).configuration(self._options))

    def _read_record(self) -> dict[str, str]:
        try:
            return read_json(self._record)
        except ArtifactError:  # missing or damaged: everything is deployed again
            return {}

    def _write_record(self, record: Mapping[str, str]) -> None:
        write_json(self._record, dict(record))


def failure_reason(application: ApplicationStatusOverview) -> str:
    """Return why an application failed: the last line of its messages, without the exception name.

    Only failed deployments are read: a deployment that waits for them has a message too, Serve's
    warning after 30 s that it is slow to start.
    """
    messages = [
        deployment.message
        for deployment in application.deployments.values()
        if deployment.status == DeploymentStatus.DEPLOY_FAILED
    ]
    lines = [
        line for line in "\n".join([application.message, *messages]).splitlines() if line.strip()
    ]
    if not lines:
        return "no reason given; see the logs of the Serve controller"
    return re.sub(r"^[\w.]+(Error|Exception): ", "", lines[-1].strip())


async def _overviews() -> dict[str, ApplicationStatusOverview]:
    status = await asyncio.to_thread(serve.status)
    return {name: o for name, o in status.applications.items() if name.startswith(_PREFIX)}
