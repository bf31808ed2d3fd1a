"""The first version of a served zoo, from the files that the configuration names."""

from dataclasses import dataclass

from modelsat.artifacts.hashing import content_hash, directory_hash
from modelsat.artifacts.router_description import read_description
from modelsat.capability.cards import Card, read_cards
from modelsat.errors import ConfigError, ZooError
from modelsat.zoo.zoo_file import Zoo, load_zoo
from serve_app.config import ServeConfig
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.store import VersionRecord, ZooStore

FROM_CONFIGURATION = "configured files"


@dataclass(frozen=True)
class Seed:
    """Content of the configured files.

    Attributes:
        zoo: the zoo file, with absolute paths.
        cards: cards of its candidates, in its order.
        router: router directory, absolute.
        router_hash: hash of the router's files.
    """

    zoo: Zoo
    cards: tuple[Card, ...]
    router: str
    router_hash: str

    @property
    def seed_hash(self) -> str:
        """Hash of everything, to detect that the files changed after a version was written."""
        return content_hash(
            {
                "zoo": self.zoo.model_dump(mode="json"),
                "cards": {card.candidate: card.card_version for card in self.cards},
                "router": [self.router, self.router_hash],
            }
        )


def read_seed(config: ServeConfig) -> Seed:
    """Read the files that a configuration names.

    Raises:
        ZooError: the zoo is refused, or none of its candidates has a card.
        ArtifactError: cards or router are missing, corrupt, or of different task sets.
        ConfigError: a candidate has the name of a routing profile, or the default candidate
            is not in the zoo.
    """
    zoo = load_zoo(config.zoo)
    router = str(config.router)
    found = read_cards(config.cards, read_description(router)["tasks_hashes"])
    cards = tuple(found[name] for name in zoo.names if name in found)
    if not cards:
        raise ZooError(
            f"no candidate of {config.zoo} has a card in {config.cards}, so none can be chosen; "
            f"there are cards for {', '.join(found)}"
        )
    for name in zoo.names:
        if name in config.routing.profiles:
            raise ConfigError(
                f"{name!r} is both a candidate and a routing profile; rename one of them"
            )
    default = config.routing.default_candidate
    if default is not None and default not in zoo.names:
        raise ConfigError(
            f"routing.default_candidate {default!r} is not a candidate; the zoo holds "
            f"{', '.join(zoo.names)}"
        )
    return Seed(zoo, cards, router, directory_hash(router))


def continue_or_seed(store: ZooStore, seed: Seed) -> tuple[ZooState, VersionRecord]:
    """Return the newest version if it descends from these files, otherwise a new one from them.

    Changes made while serving survive a restart, and changed files take effect.
    """
    newest = store.newest()
    if newest is not None and newest[1].seed == seed.seed_hash:
        return newest
    state = ZooState(store.next_version(), seed.zoo, seed.cards, seed.router)
    record = store.write(
        state, change=FROM_CONFIGURATION, router_hash=seed.router_hash, seed=seed.seed_hash
    )
    return state, record
