"""What is checked before anything is started: files that fit together, and a free port."""

import errno
import socket

from modelsat.artifacts.router_description import read_description
from modelsat.capability.cards import read_cards, select_cards
from modelsat.errors import MachineError
from modelsat.zoo import Zoo, load_zoo
from serve_app.config import ServeConfig


def check_artifacts(config: ServeConfig) -> Zoo:
    """Check that zoo, cards and router exist and fit together.

    Returns:
        The zoo to serve.

    Raises:
        ZooError: the zoo is refused, a model directory is no model, or a candidate has no card.
        ArtifactError: cards or router are missing, corrupt, or of different task sets.
    """
    zoo = load_zoo(config.zoo)
    for candidate in zoo.local:
        candidate.check_local_model()
    cards = read_cards(config.cards, read_description(config.router)["tasks_hashes"])
    select_cards(cards, zoo.names)
    return zoo


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
