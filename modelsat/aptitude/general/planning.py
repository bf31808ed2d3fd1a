"""The best of many plans: routes, schedules and selections."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from random import Random

from modelsat.aptitude.general.task import Item, listed, number_item, tasks_of
from modelsat.aptitude.general.words import GOODS, NAMES, PLACES

_FAR = 10**9


def _distances(
    places: Sequence[str], roads: Mapping[tuple[str, str], int]
) -> dict[str, dict[str, int]]:
    """Return the shortest distances between all places (Floyd and Warshall)."""
    far = {a: {b: 0 if a == b else _FAR for b in places} for a in places}
    for (a, b), length in roads.items():
        far[a][b] = min(far[a][b], length)
    for via in places:
        for a in places:
            for b in places:
                far[a][b] = min(far[a][b], far[a][via] + far[via][b])
    return far


def _route(rng: Random, level: int) -> Item:
    size, num_extra = ((4, 1), (5, 3), (7, 5), (9, 7), (10, 10))[level - 1]
    places = rng.sample(PLACES, size)
    pairs = [(places[i], places[rng.randrange(i)]) for i in range(1, size)]
    others = [
        pair for pair in combinations(places, 2) if pair not in pairs and pair[::-1] not in pairs
    ]
    pairs += rng.sample(others, min(num_extra, len(others)))
    lengths = {pair: rng.randint(3, 40) for pair in pairs}
    one_way = set(rng.sample(pairs, size // 2)) if level >= 4 else set()
    roads = lengths | {(b, a): n for (a, b), n in lengths.items() if (a, b) not in one_way}
    far = _distances(places, roads)
    start, goal, *stops = rng.sample(places, (2, 2, 2, 3, 4)[level - 1])
    tours = [
        sum(far[a][b] for a, b in zip((start, *order), (*order, goal), strict=True))
        for order in permutations(stops)
    ]
    if min(tours) >= _FAR or (level > 1 and min(tours) == roads.get((start, goal))):
        return _route(rng, level)
    rng.shuffle(pairs)
    lines = [f"{a} {'to' if (a, b) in one_way else '-'} {b}: {lengths[a, b]} km" for a, b in pairs]
    note = ' ("to" marks a road that can be used in this direction alone)' if one_way else ""
    via = f" that visits {listed(stops)}, in any order," if stops else ""
    network = "\n".join(lines)
    return number_item(
        f"These are all the roads{note}:\n{network}\nHow long, in km, is the shortest way from {start} "
        f"to {goal}{via} if places may be passed more than once?",
        min(tours),
    )


def _end(
    order: Sequence[str],
    hours: Mapping[str, int],
    before: Mapping[str, Sequence[str]],
    machine: Sequence[str],
) -> int:
    """Return when all jobs are done if jobs start as early as possible, in this order."""
    ends: dict[str, int] = {}
    free = 0
    for job in order:
        start = max((ends.get(other, _FAR) for other in before[job]), default=0)
        if job in machine:
            start = max(start, free)
            free = start + hours[job]
        ends[job] = start + hours[job]
    return max(ends.values())


def _schedule(rng: Random, level: int) -> Item:
    size, num_shared = ((3, 0), (5, 0), (7, 0), (6, 3), (7, 4))[level - 1]
    jobs = rng.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", size)
    hours = {job: rng.randint(2, 30) for job in jobs}
    before = {
        job: rng.sample(jobs[:place], min(place, rng.choice((0, 1, 1, 2) if place > 1 else (0, 1))))
        for place, job in enumerate(jobs)
    }
    machine = sorted(rng.sample(jobs, num_shared))
    if not any(before.values()):
        return _schedule(rng, level)
    orders = permutations(jobs) if machine else iter([jobs])
    best = min(_end(order, hours, before, machine) for order in orders)
    lines = []
    for job in sorted(jobs):
        needs = f", after {listed(sorted(before[job]))}" if before[job] else ""
        lines.append(f"- {job}: {hours[job]} hours{needs}")
    shared = (
        f" {listed(machine)} need the same machine, which does one job at a time without interruption."
        if machine
        else ""
    )
    plan = "\n".join(lines)
    return number_item(
        f'{rng.choice(NAMES)} plans these jobs; a job starts only when those named after "after" are '
        f"done.\n{plan}\nJobs can run at the same time.{shared} After how many hours can all jobs be "
        "done at the earliest?",
        best,
    )


def _selection(rng: Random, level: int) -> Item:
    size, num_conflicts = ((3, 0), (4, 0), (6, 1), (8, 3), (10, 4))[level - 1]
    goods = sorted(rng.sample(GOODS, size))
    weight = {thing: rng.randint(3, 40) for thing in goods}
    value = {thing: rng.randint(10, 99) for thing in goods}
    limit = sum(weight.values()) * rng.randint(40, 65) // 100
    pairs = rng.sample([*combinations(goods, 2)], num_conflicts)
    best = max(
        sum(value[thing] for thing in chosen)
        for count in range(size + 1)
        for chosen in combinations(goods, count)
        if sum(weight[thing] for thing in chosen) <= limit
        and not any(a in chosen and b in chosen for a, b in pairs)
    )
    lines = [f"- {thing}: {weight[thing]} kg, {value[thing]} coins" for thing in goods]
    rng.shuffle(lines)
    rules = "".join(f" The {a} and the {b} must not both be taken." for a, b in pairs)
    parcels = "\n".join(lines)
    return number_item(
        f"{rng.choice(NAMES)} can carry at most {limit} kg and chooses among these parcels, each taken "
        f"whole or left.\n{parcels}\n{rules.strip()}\nWhat is the largest total value that can be "
        "carried?".replace("\n\n", "\n"),
        best,
    )


TASKS = tasks_of(
    "planning",
    {
        "shortest_routes": (_route, "shortest path, roads, graph, distance, planning"),
        "schedules": (_schedule, "scheduling, dependencies, critical path, time, planning"),
        "best_selections": (_selection, "knapsack, optimization, choice, budget, value"),
    },
)
