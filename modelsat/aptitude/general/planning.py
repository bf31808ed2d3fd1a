"""The best of many plans: routes, schedules and selections."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, permutations
from random import Random

from modelsat.aptitude.general.task import Item, listed, number, read_tasks
from modelsat.aptitude.general.words import GOODS, PLACES

_FAR = 10**9


def _distances(
    places: Sequence[str], roads: Mapping[tuple[str, str], int]
) -> Mapping[str, dict[str, int]]:
    """Return the shortest distances between all places (Floyd and Warshall)."""
    far = {a: {b: 0 if a == b else roads.get((a, b), _FAR) for b in places} for a in places}
    for via in places:
        for a in places:
            for b in places:
                far[a][b] = min(far[a][b], far[a][via] + far[via][b])
    return far


def _route(rng: Random, level: int) -> Item:
    size, num_extra, num_stops = ((4, 1, 0), (5, 3, 0), (7, 5, 0), (9, 7, 1), (10, 10, 2))[
        level - 1
    ]
    places = rng.sample(PLACES, size)
    pairs = [(places[i], places[rng.randrange(i)]) for i in range(1, size)]
    others = [(b, a) for a, b in combinations(places, 2) if (b, a) not in pairs]
    pairs += rng.sample(others, min(num_extra, len(others)))
    lengths = {pair: rng.randint(3, 40) for pair in rng.sample(pairs, len(pairs))}
    one_way = rng.sample(pairs, size // 2 if level >= 4 else 0)
    roads = lengths | {(b, a): n for (a, b), n in lengths.items() if (a, b) not in one_way}
    far = _distances(places, roads)
    start, goal, *stops = rng.sample(places, 2 + num_stops)
    best = min(
        sum(far[a][b] for a, b in pairwise((start, *order, goal))) for order in permutations(stops)
    )
    if best >= _FAR or (level > 1 and best == roads.get((start, goal))):
        return _route(rng, level)
    lines = [
        f"{a} {'to' if (a, b) in one_way else '-'} {b}: {n} km" for (a, b), n in lengths.items()
    ]
    via = f" that visits {listed(stops)}, in any order," if stops else ""
    return number(best, roads="\n".join(lines), start=start, goal=goal, via=via)


def _end(
    hours: Mapping[str, int], before: Mapping[str, Sequence[str]], order: Sequence[str]
) -> int:
    """Return when all jobs are done if those of one machine run in this order; _FAR if never."""
    chained = {job: [*others] for job, others in before.items()}
    for one, other in pairwise(order):
        chained[other].append(one)
    ends: dict[str, int] = {}
    for _ in hours:  # as often as a chain of jobs can be long
        for job in hours:
            if job not in ends and all(other in ends for other in chained[job]):
                ends[job] = hours[job] + max(map(ends.__getitem__, chained[job]), default=0)
    return max(ends.values()) if len(ends) == len(hours) else _FAR


def _schedule(rng: Random, level: int) -> Item:
    size, num_shared = ((3, 0), (5, 0), (7, 0), (6, 3), (7, 4))[level - 1]
    jobs = rng.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", size)
    hours = {job: rng.randint(2, 30) for job in jobs}
    before = {
        job: sorted(rng.sample(jobs[:place], min(place, rng.randint(0, 2))))
        for place, job in enumerate(jobs)
    }
    machine = sorted(rng.sample(jobs, num_shared))
    best = min(_end(hours, before, order) for order in permutations(machine))
    if best == max(hours.values()):  # no job has to wait
        return _schedule(rng, level)
    after = {job: f", after {listed(others)}" if others else "" for job, others in before.items()}
    lines = [f"- {job}: {hours[job]} hours{after[job]}" for job in sorted(jobs)]
    return number(best, jobs="\n".join(lines), machine=listed(machine or jobs))


def _selection(rng: Random, level: int) -> Item:
    size, num_conflicts = ((3, 0), (4, 0), (6, 1), (8, 3), (10, 4))[level - 1]
    goods = rng.sample(GOODS, size)
    weight = {thing: rng.randint(3, 40) for thing in goods}
    value = {thing: rng.randint(10, 99) for thing in goods}
    limit = sum(weight.values()) * rng.randint(40, 65) // 100
    pairs = rng.sample([*combinations(goods, 2)], num_conflicts)
    best = max(
        sum(map(value.__getitem__, chosen))
        for count in range(size + 1)
        for chosen in combinations(goods, count)
        if sum(map(weight.__getitem__, chosen)) <= limit
        and not any(a in chosen and b in chosen for a, b in pairs)
    )
    parcels = "\n".join(f"- {thing}: {weight[thing]} kg, {value[thing]} coins" for thing in goods)
    rules = "".join(f" The {a} and the {b} must not both be taken." for a, b in pairs)
    return number(best, limit=limit, parcels=parcels, rules=rules)


TASKS = read_tasks(
    "planning", shortest_routes=_route, schedules=_schedule, best_selections=_selection
)
