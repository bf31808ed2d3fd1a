"""What would be ``modelsat/zoo/engines/echo.py``."""

from typing import ClassVar, Literal

from pydantic import Field

from modelsat.artifacts.hashing import content_hash
from modelsat.zoo.candidate import Candidate


class EchoCandidate(Candidate):
    """A candidate that says the last word of each prompt.

    Attributes:
        times: how often it says it.
    """

    engine: Literal["echo"]
    times: int = Field(default=1, ge=1)

    runs_on_cluster: ClassVar[bool] = False

    @property
    def source(self) -> str:
        """There is nothing but the process that asks."""
        return "in process"

    def content_hash(self) -> str:
        """Return a hash of how often it says the word."""
        return content_hash({"times": self.times})

    def say(self, prompt: str) -> str:
        """Return the answer to a prompt."""
        return " ".join([prompt.split()[-1]] * self.times)
