"""Redaction of prompts by a function of the user."""

from importlib import import_module

from modelsat.errors import ConfigError
from modelsat.traffic.prompt import Redact


def load_redaction(name: str) -> Redact:
    """Return the function that a setting names.

    The function takes a text and returns it without what must not be kept. It is called for every
    text of a prompt before anything is written.

    Args:
        name: ``module:function``; the module must be importable.

    Raises:
        ConfigError: there is no such function.
    """
    module, colon, function = name.partition(":")
    try:
        found = getattr(import_module(module), function) if colon and module else None
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"redact {name!r} cannot be imported: {error}") from None
    if not callable(found):
        raise ConfigError(f"redact is {name!r}; name a function as module:function")

    def redact(text: str) -> str:
        try:
            changed = found(text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's function
            # Not the error's text, which may quote the prompt.
            raise ConfigError(f"redact {name!r} failed with {type(error).__name__}") from None
        if not isinstance(changed, str):
            raise ConfigError(f"redact {name!r} returned {type(changed).__name__}, not a text")
        return changed.encode("utf-8", "replace").decode()

    return redact
