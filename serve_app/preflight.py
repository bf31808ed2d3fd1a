"""Checks before anything is started: the files fit together, and the port is free."""

import errno
import socket

from ray.serve import context

from modelsat.errors import ConfigError, MachineError
from modelsat.zoo.zoo_file import Zoo
from serve_app.api.key_file import read_keys
from serve_app.config import SecurityOptions, ServeConfig
from serve_app.registry.seed import read_seed


def check_artifacts(config: ServeConfig) -> Zoo:
    """Check that zoo, cards, router, API keys and the keys of providers exist and fit together.

    Returns:
        The zoo that the configuration names; the one served may have changed since.

    Raises:
        ZooError: the zoo or a model directory is invalid, no candidate has a card, or the key of
            a remote candidate is missing.
        ArtifactError: cards or router are missing, corrupt, or from different task sets.
        ConfigError: a routing profile or the default candidate does not match the zoo, or the
            file of API keys is invalid.
    """
    zoo = read_seed(config).zoo
    for candidate in zoo.candidates:
        candidate.check_keys()
        candidate.check_source()
    if config.security.keys is not None:
        read_keys(config.security.keys)
    return zoo


def check_exposure(security: SecurityOptions) -> None:
    """Refuse to answer where Serve listens, if anybody could ask there by accident.

    For a process on the cluster, which this blocks until the Serve controller answers. A Serve
    that another file or a manifest started listens where that one says, not at the ``host`` of
    the configuration.

    Raises:
        ConfigError: other machines reach it, and there are neither keys nor
            ``allow_anonymous``.
    """
    host = context._get_global_client().http_config.host  # None: it does not listen at all
    refusal = None if host is None else security.refusal(host)
    if refusal is not None:
        raise ConfigError(f"Ray Serve's http_options: {refusal}")


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises:
        MachineError: another process listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                reason = "is in use; stop what listens there, or choose another"
            else:
                reason = f"cannot be used: {error}; choose another"
            raise MachineError(
                f"port {port} of {host} {reason} with --set port=PORT (1..65535)"
            ) from None
