"""Changes of a served zoo, from one state to the next; no disk and no cluster.

Every function returns a state whose version is one higher, or raises ZooError or ArtifactError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelsat.capability.cards import Card, check_same_tasks
from modelsat.config import parse_config
from modelsat.errors import ConfigError, ZooError
from modelsat.zoo.candidate import Candidate
from modelsat.zoo.zoo_file import Zoo
from serve_app.candidates.engines import engine_of
from serve_app.contracts.zoo_state import ZooState
from serve_app.registry.card_checks import check_shift, check_text


@dataclass(frozen=True)
class Rules:
    """Requirements that the endpoint's configuration puts on its zoo.

    Attributes:
        profiles: names of routing profiles; no candidate may use one.
        default_candidate: answers when there are no scores, and so cannot be removed.
        environment: environment variables of the process, which hold the keys of candidates.
        max_accuracy_shift: see ``RegistryOptions``.
    """

    profiles: Sequence[str]
    default_candidate: str | None
    environment: Mapping[str, str]
    max_accuracy_shift: float


def parse_entry(document: object) -> Candidate:
    """Return the candidate that one entry of a zoo file describes.

    Raises:
        ZooError: a key or value is refused, or a model directory is relative.
    """
    values = {"version": 1, "candidates": [document]}
    try:
        (entry,) = parse_config(Zoo, values, source="zoo entry").candidates
    except ConfigError as error:
        raise ZooError(str(error)) from None
    entry.check_absolute()
    return entry


def put_candidate(
    state: ZooState,
    entry: Candidate,
    card: Card | None,
    *,
    tasks_hashes: Sequence[str],
    rules: Rules,
    force: bool = False,
) -> ZooState:
    """Add a candidate, or change the candidate of that name.

    Args:
        state: the current zoo.
        entry: the new entry.
        card: its card; None keeps the card it has. A new candidate without a card is never routed
            to, and clients can only name it.
        tasks_hashes: task sets that the router reads.
        rules: requirements of the configuration.
        force: accept a card whose accuracy changed implausibly. Nothing else can be forced.

    Raises:
        ZooError: name or slug is taken, its engine would have to change, its key is not in the
            environment, or its card is refused.
        ArtifactError: the card comes from a task set that the router or the zoo does not use.
    """
    known = entry.name in state.zoo.names
    if known:
        _check_same_engine(state.zoo.get(entry.name), entry)
        candidates = tuple(entry if c.name == entry.name else c for c in state.zoo.candidates)
    else:
        candidates = (*state.zoo.candidates, entry)
    cards = {c.candidate: c for c in state.cards}
    if card is not None:
        _check_card(card, entry, cards, tasks_hashes)
        if entry.name in cards and not force:
            check_shift(cards[entry.name], card, rules.max_accuracy_shift)
        cards[entry.name] = card
    return _next(state, candidates, cards, rules)


def remove_candidate(state: ZooState, name: str, *, rules: Rules) -> ZooState:
    """Remove a candidate and its card.

    Raises:
        ZooError: the candidate does not exist, is the last one with a card, or is the default.
    """
    state.zoo.get(name)
    candidates = tuple(c for c in state.zoo.candidates if c.name != name)
    cards = {c.candidate: c for c in state.cards if c.candidate != name}
    if not cards:
        raise ZooError(
            f"candidate {name!r} is the last one with a card, so no candidate could be chosen "
            "without it; add another first"
        )
    return _next(state, candidates, cards, rules)


def set_router(state: ZooState, router: str, *, tasks_hashes: Sequence[str]) -> ZooState:
    """Score with another router.

    Args:
        state: the current zoo.
        router: its directory.
        tasks_hashes: task sets that it reads.

    Raises:
        ArtifactError: it does not read the cards of this zoo.
    """
    check_same_tasks(state.cards, tasks_hashes, source=f"cards for the router {router}")
    return replace(state, version=state.version + 1, router=router)


def roll_back(
    state: ZooState, earlier: ZooState, *, tasks_hashes: Sequence[str], rules: Rules
) -> ZooState:
    """Serve an earlier version again, under a new number.

    Args:
        state: the current zoo.
        earlier: the version to return to.
        tasks_hashes: task sets that the router of that version reads today.
        rules: requirements of the configuration.

    Raises:
        ZooError: the configuration does not allow that zoo any more, or a running engine would
            have to change.
        ArtifactError: its router does not read its cards any more.
    """
    check_same_tasks(earlier.cards, tasks_hashes, source=f"cards of version {earlier.version}")
    running = {candidate.slug: candidate for candidate in state.zoo.candidates}
    for candidate in earlier.zoo.candidates:
        if candidate.slug in running:
            _check_same_engine(running[candidate.slug], candidate)
    returned = replace(earlier, version=state.version)
    return _next(returned, earlier.zoo.candidates, {c.candidate: c for c in earlier.cards}, rules)


def _next(
    state: ZooState,
    candidates: Sequence[Candidate],
    cards: Mapping[str, Card],
    rules: Rules,
) -> ZooState:
    try:
        zoo = parse_config(Zoo, {"version": 1, "candidates": candidates}, source="changed zoo")
    except ConfigError as error:
        raise ZooError(str(error)) from None
    for candidate in zoo.candidates:
        if candidate.name in rules.profiles:
            raise ZooError(
                f"{candidate.name!r} is the name of a routing profile; choose another one"
            )
        for variable in candidate.key_variables:
            if variable not in rules.environment:
                raise ZooError(
                    f"candidate {candidate.name!r}: the environment variable {variable} of its key "
                    "is not set where the endpoint runs; set it there and start the endpoint again"
                )
    default = rules.default_candidate
    if default is not None and default not in zoo.names:
        raise ZooError(
            f"candidate {default!r} is routing.default_candidate of the configuration and has to "
            "stay; name another one there first"
        )
    return ZooState(
        version=state.version + 1,
        zoo=zoo,
        cards=tuple(cards[name] for name in zoo.names if name in cards),
        router=state.router,
    )


def _check_card(
    card: Card, entry: Candidate, cards: Mapping[str, Card], tasks_hashes: Sequence[str]
) -> None:
    if card.candidate != entry.name:
        raise ZooError(
            f"the card is that of {card.candidate!r}, the entry that of {entry.name!r}; give the "
            "candidate's own card"
        )
    others = [other for name, other in cards.items() if name != entry.name]
    # A candidate without peers is compared with its earlier card.
    peers = (others or list(cards.values()))[:1]
    check_same_tasks((*peers, card), tasks_hashes, source="changed zoo")
    check_text(card, peers)


def _check_same_engine(before: Candidate, after: Candidate) -> None:
    """Check that a running engine can serve the changed entry.

    Replacing an engine in place would leave the candidate without a replica while the new engine
    loads, and without any if that does not start.
    """
    if not engine_of(before).can_become(after):
        raise ZooError(
            f"candidate {before.name!r} runs with another engine or other engine settings, which "
            "cannot change while it serves; add the new one under another name, then remove this "
            "one"
        )
