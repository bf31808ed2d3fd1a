"""What one ``modelsat serve`` run is made of."""

from pathlib import Path

from pydantic import Field

from modelsat.config import FrozenConfig


class ScorerOptions(FrozenConfig):
    """The deployment that scores prompts against all cards.

    Attributes:
        num_replicas: processes that hold the router.
        num_cpus: CPUs that Ray books for each.
        num_threads: threads of each forward pass; Ray alone would set floor(num_cpus).
        max_batch_size: most prompts of one forward pass.
        batch_wait_timeout_s: how long a batch waits to fill up; also the least delay of a
            request that comes alone.
        max_ongoing_requests: requests a replica holds at a time; batches form among them.
    """

    num_replicas: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1, gt=0)
    num_threads: int = Field(default=2, ge=1)
    max_batch_size: int = Field(default=16, ge=1)
    batch_wait_timeout_s: float = Field(default=0.005, ge=0)
    max_ongoing_requests: int = Field(default=256, ge=1)


class IngressOptions(FrozenConfig):
    """The deployment that speaks HTTP.

    Attributes:
        num_replicas: processes that accept requests.
        num_cpus: CPUs that Ray books for each.
        max_ongoing_requests: requests a replica holds at a time, open streams included.
        scorer_timeout_s: how long a request waits for its scores before it is refused.
    """

    num_replicas: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=0.5, gt=0)
    max_ongoing_requests: int = Field(default=256, ge=1)
    scorer_timeout_s: float = Field(default=10, gt=0)


class CandidateOptions(FrozenConfig):
    """Bounds of every candidate that states none in its own ``deployment_config``.

    Ray's LLM deployments accept and scale for a billion requests at a time by default, so
    without these nothing is ever refused and nothing ever scales up.

    Attributes:
        max_ongoing_requests: requests a replica holds at a time.
        max_queued_requests: requests that wait per ingress replica; more are refused.
        target_ongoing_requests: requests per replica at which one more is started.
    """

    max_ongoing_requests: int = Field(default=128, ge=1)
    max_queued_requests: int = Field(default=256, ge=-1)
    target_ongoing_requests: float = Field(default=16, gt=0)


class ServeConfig(FrozenConfig):
    """One served zoo.

    Attributes:
        zoo: zoo file.
        cards: cards artifact; holds a card of every candidate of the zoo.
        router: router directory.
        host: address to listen on; 0.0.0.0 is all of them.
        port: port to listen on.
        request_timeout_s: longest time from a request to the end of its answer.
        startup_timeout_s: longest time until everything is ready.
        cluster_cpus: logical CPUs of a Ray cluster that this run has to start itself; more
            than there are cores, because many small processes each book one.
        scorer: the deployment that scores prompts.
        ingress: the deployment that speaks HTTP.
        candidates: bounds of every candidate that states none.
    """

    zoo: Path
    cards: Path
    router: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    request_timeout_s: float = Field(default=600, gt=0)
    startup_timeout_s: float = Field(default=900, gt=0)
    cluster_cpus: int = Field(default=32, ge=1)
    scorer: ScorerOptions = ScorerOptions()
    ingress: IngressOptions = IngressOptions()
    candidates: CandidateOptions = CandidateOptions()

    @property
    def url(self) -> str:
        """Base URL of the OpenAI-compatible endpoint, as a client on this machine writes it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}/v1"
