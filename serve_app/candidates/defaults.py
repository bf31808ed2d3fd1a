"""Settings of a candidate that its chat requests carry unless the client sets them."""

from collections.abc import Mapping
from typing import Any

from modelsat.zoo.candidate import Endpoint
from serve_app.candidates.engines.protocol import EngineClient
from serve_app.contracts.answers import Answer


class ClientWithDefaults(EngineClient):
    """A client that completes chat requests.

    Args:
        client: sends the requests.
        fields: fields of the JSON object where the client sent none.
    """

    def __init__(self, client: EngineClient, fields: Mapping[str, Any]) -> None:
        self._client = client
        self._fields = fields

    async def open(
        self, endpoint: Endpoint, body: Mapping[str, Any], *, timeout_s: float
    ) -> Answer:
        """Send a request and wait for the first part of the answer; see `CandidateClient`."""
        if endpoint == "chat":
            body = {**self._fields, **body}
        return await self._client.open(endpoint, body, timeout_s=timeout_s)

    @property
    def is_available(self) -> bool:
        """Whether requests may be sent to the candidate."""
        return self._client.is_available

    def count_replicas(self, num_replicas: int | None) -> None:
        """Note how many replicas of the candidate run."""
        self._client.count_replicas(num_replicas)
