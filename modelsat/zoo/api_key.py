"""API keys of providers: the zoo file names an environment variable, which holds the key."""

import os

from modelsat.errors import ZooError


def read_key(variable: str, of: str) -> str:
    """Return the API key that an environment variable holds.

    Args:
        variable: name of the environment variable.
        of: owner of the key, for error messages.

    Raises:
        ZooError: the variable is not set, or its value cannot be a key.
    """
    key = os.environ.get(variable, "")
    if not key:
        raise ZooError(
            f"{of}: environment variable {variable} is not set; set it to the provider's key in "
            "every process that sends requests, the processes of a Ray cluster included"
        )
    if not all("!" <= char <= "~" for char in key):
        raise ZooError(
            f"{of}: environment variable {variable} holds characters that no key has (blanks, "
            "line ends or non-ASCII); set it to the key alone"
        )
    return key
