"""``/v1/models``: routing profiles and candidates as OpenAI's model objects."""

from typing import Any

from modelsat.zoo.candidate import Candidate
from serve_app.api.inference import visible_names
from serve_app.api.key_file import ApiKey
from serve_app.api.services import Services
from serve_app.config import ServeConfig
from serve_app.contracts.errors import model_not_found


class Models:
    """Describes the models that clients can name."""

    def __init__(self, services: Services, config: ServeConfig, created: int) -> None:
        """Describe the models of an ingress replica; ``created`` is the Unix time they state."""
        self._services, self._created = services, created
        self._profiles = config.routing.profiles

    def list(self, key: ApiKey | None) -> dict[str, Any]:
        """The models that a key may use: routing profiles, then candidates in the zoo's order."""
        state = self._services.zoo()
        candidates = {candidate.name: candidate for candidate in state.zoo.candidates}
        names = visible_names(self._profiles, state, key)
        return {
            "object": "list",
            "data": [self._describe(name, candidates.get(name)) for name in names],
        }

    def retrieve(self, name: str, key: ApiKey | None) -> dict[str, Any]:
        """One model.

        Raises:
            ApiError: 404: the key may not use it, or it does not exist.
        """
        state = self._services.zoo()
        names = visible_names(self._profiles, state, key)
        if name not in names:
            raise model_not_found(names)
        return self._describe(name, None if name in self._profiles else state.zoo.get(name))

    def _describe(self, name: str, candidate: Candidate | None) -> dict[str, Any]:
        model = {"id": name, "object": "model", "created": self._created, "owned_by": "model-sat"}
        if candidate is not None:
            model["max_model_len"] = candidate.context_window  # as vLLM calls it
        return model
