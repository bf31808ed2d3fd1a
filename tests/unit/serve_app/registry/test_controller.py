import asyncio
from collections.abc import Awaitable, Callable

import pytest

from modelsat.errors import ArtifactError, MachineError, ZooError
from serve_app.registry.controller import ZooController
from serve_app.registry.follower import ZooFollower
from serve_app.registry.following import FORGOTTEN_AFTER_S, POLL_TIMEOUT_S
from serve_app.registry.store import ZooStore
from tests.support.serve_app.virtual_time import run
from tests.support.serve_app.zoos import (
    RULES,
    card,
    local_entry,
    remote_entry,
    state,
    stored,
    write_router,
)

AGREEMENT_TIMEOUT_S = 10


class FakeServe:
    """The applications of a Serve instance: engines take a minute to start, and may fail."""

    def __init__(self, *running):
        self.counts = dict.fromkeys(running, 1)
        self.started = []
        self.broken = set()
        self.when_deleted: Callable[[str], None] = lambda name: None

    async def deploy(self, candidates):
        new = [c for c in candidates if c.application_name not in self.counts]
        if new:
            await asyncio.sleep(60)
        failures = {
            c.name: ZooError(f"{c.name} cannot start") for c in new if c.name in self.broken
        }
        good = [c.application_name for c in new if c.name not in failures]
        self.started += good
        self.counts.update(dict.fromkeys(good, 1))
        return failures

    async def delete(self, application):
        self.when_deleted(application)
        self.counts.pop(application, None)

    async def replicas(self):
        return dict(self.counts)


class World:
    """A store, a Serve and controllers over both, as long as a test runs."""

    def __init__(self, folder, *entries, serve=None):
        self.folder = folder
        router = write_router(folder / "router")
        self.store = stored(folder / "registry", state(*entries, router=router))
        self.serve = serve or FakeServe(
            *(c.application_name for c in self.store.newest()[0].zoo.local)
        )
        self.followers: list[ZooFollower] = []

    async def controller(self):
        controller = ZooController(
            ZooStore(self.store.folder, num_versions=20),
            self.store.newest(),
            self.serve,
            RULES,
            {},
            agreement_timeout_s=AGREEMENT_TIMEOUT_S,
        )
        await controller.start()
        return controller

    async def follow(self, controller, kind="ingress", on_change=lambda state: None):
        follower = ZooFollower(controller, kind, on_change)
        await follower.start(30)
        self.followers.append(follower)
        return follower


def play(world: World, scene: Callable[[World, ZooController], Awaitable[None]]) -> None:
    """Run a scene with a controller that started long ago."""

    async def whole():
        controller = await world.controller()
        await asyncio.sleep(100)
        try:
            await scene(world, controller)
        finally:
            for follower in world.followers:
                await follower.stop()
            await controller.stop()

    run(whole())


def now():
    return asyncio.get_running_loop().time()


def document(name, *counts):
    made = card(name, *counts)
    statements = [vars(statement) for statement in made.statements]
    return {"candidate": name, "tasks_hash": made.tasks_hash, "statements": statements}


def test_every_follower_has_applied_a_change_when_it_returns(tmp_path):
    async def scene(world, controller):
        ingress = await world.follow(controller)
        embedded = []

        async def embed(zoo_state):
            await asyncio.sleep(4)
            embedded.append(zoo_state.version)

        scorer = await world.follow(controller, "scorer", embed)
        result = await controller.put_candidate(remote_entry("b"), document("b"), False)
        assert (result["version"], result["agreed"]) == (2, True)
        assert {f["version"] for f in result["followers"]} == {2}
        assert ingress.state == scorer.state == world.store.read(2)
        assert embedded == [1, 2]

    play(World(tmp_path, remote_entry("a")), scene)


def test_waiting_polls_do_not_delay_a_change(tmp_path):
    async def scene(world, controller):
        for _ in range(3):
            await world.follow(controller)
        start = now()
        assert (await controller.remove_candidate("a"))["agreed"] is True
        assert now() == start

    play(World(tmp_path, remote_entry("a"), remote_entry("b")), scene)


def test_a_dead_follower_is_waited_for_no_longer_than_stated(tmp_path):
    async def scene(world, controller):
        dead = await world.follow(controller)
        await dead.stop()
        live = await world.follow(controller)
        start = now()
        result = await controller.remove_candidate("a")
        assert now() - start <= min(FORGOTTEN_AFTER_S + 1, AGREEMENT_TIMEOUT_S)
        assert result["agreed"] is True
        assert len(result["followers"]) == 1
        assert live.state.zoo.names == ("b",)

    play(World(tmp_path, remote_entry("a"), remote_entry("b")), scene)


def test_a_follower_that_lags_is_named_and_its_reason_too(tmp_path):
    def refuse(zoo_state):
        if zoo_state.version == 2:
            raise ArtifactError("no weights")

    async def scene(world, controller):
        await world.follow(controller)
        lagging = await world.follow(controller, "scorer", refuse)
        start = now()
        result = await controller.remove_candidate("a")
        assert now() - start == pytest.approx(AGREEMENT_TIMEOUT_S)
        assert result["agreed"] is False
        ((label, problem),) = [
            (f["id"], f["problem"]) for f in result["followers"] if f["version"] == 1
        ]
        assert label.startswith("scorer/")
        assert problem == "no weights"
        assert lagging.state.version == 1
        back = await controller.roll_back(1)
        assert (back["version"], back["agreed"]) == (3, True)
        assert lagging.state.zoo.names == ("a", "b")

    play(World(tmp_path, remote_entry("a"), remote_entry("b")), scene)


def test_an_engine_runs_before_its_candidate_is_published(tmp_path):
    async def scene(world, controller):
        counts_seen = []
        await world.follow(
            controller,
            on_change=lambda s: counts_seen.append((s.version, dict(world.serve.counts))),
        )
        start = now()
        await controller.put_candidate(local_entry("b"), document("b"), False)
        assert now() - start >= 60
        assert counts_seen == [(1, {}), (2, {"candidate-b": 1})]

    play(World(tmp_path, remote_entry("a")), scene)


def test_an_engine_stops_after_every_follower_has_removed_it(tmp_path):
    async def scene(world, controller):
        slow_follower_has = []

        async def slow(zoo_state):
            await asyncio.sleep(25)  # longer than the change waits
            slow_follower_has.append(zoo_state.version)

        await world.follow(controller, on_change=slow)
        versions_at_deletion = []
        world.serve.when_deleted = lambda name: versions_at_deletion.append(
            (name, slow_follower_has[-1])
        )
        result = await controller.remove_candidate("b")
        assert result["agreed"] is False
        assert (await controller.describe())["stopping"] == ["candidate-b"]
        await asyncio.sleep(30)
        assert versions_at_deletion == [("candidate-b", 2)]
        assert world.serve.counts == {}
        assert (await controller.describe())["stopping"] == []

    play(World(tmp_path, remote_entry("a"), local_entry("b")), scene)


def test_an_engine_that_is_added_again_in_time_keeps_running(tmp_path):
    async def scene(world, controller):
        async def slow(_state):
            await asyncio.sleep(25)

        await world.follow(controller, on_change=slow)
        await controller.remove_candidate("b")
        await controller.put_candidate(local_entry("b"), document("b"), False)
        await asyncio.sleep(100)
        assert world.serve.counts == {"candidate-b": 1}
        assert world.serve.started == []

    play(World(tmp_path, remote_entry("a"), local_entry("b")), scene)


def test_an_engine_that_does_not_start_changes_nothing(tmp_path):
    async def scene(world, controller):
        follower = await world.follow(controller)
        world.serve.broken.add("b")
        with pytest.raises(ZooError, match="b cannot start"):
            await controller.put_candidate(local_entry("b"), document("b"), False)
        assert world.serve.counts == {}
        assert follower.state.version == (await controller.describe())["version"] == 1
        world.serve.broken.clear()
        result = await controller.put_candidate(local_entry("b"), document("b"), False)
        assert result["version"] == 2

    play(World(tmp_path, remote_entry("a")), scene)


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise MachineError("no disk space left")

    async def scene(world, controller):
        follower = await world.follow(controller)
        with monkeypatch.context() as patch:
            patch.setattr(ZooStore, "write", full)
            with pytest.raises(MachineError):
                await controller.put_candidate(local_entry("b"), document("b"), False)
        await asyncio.sleep(POLL_TIMEOUT_S)
        assert follower.state.version == 1
        assert world.serve.counts == {}
        assert (await controller.remove_candidate("a"))["version"] == 2

    play(World(tmp_path, remote_entry("a"), remote_entry("c")), scene)


def test_a_crash_after_writing_is_carried_through_by_the_next_controller(tmp_path):
    async def scene(world, controller):
        follower = await world.follow(controller)
        await follower.stop()
        # The version is written and its engine started; the process died before one was stopped.
        changed = state(
            remote_entry("a"), local_entry("c"), version=2, router=follower.state.router
        )
        world.store.write(changed, change="x", router_hash="r", seed="s")
        await controller.stop()

        successor = await world.controller()
        later = await world.follow(successor)
        assert later.state == changed
        await asyncio.sleep(100)
        assert world.serve.counts == {"candidate-c": 1}
        await successor.stop()

    play(World(tmp_path, remote_entry("a"), local_entry("b")), scene)


def test_followers_survive_a_restart_of_the_controller(tmp_path):
    class Handle:
        """Reaches the controller that is running."""

        target = None

        async def follow(self, *args):
            return await self._living().follow(*args)

        async def acknowledge(self, *args):
            return await self._living().acknowledge(*args)

        def _living(self):
            if self.target is None:
                raise MachineError("it died")
            return self.target

    async def scene(world, controller):
        handle = Handle()
        handle.target = controller
        follower = await world.follow(handle)
        handle.target = None
        await controller.stop()
        await asyncio.sleep(60)
        assert follower.state.zoo.names == ("a", "b")
        handle.target = await world.controller()
        # The follower has not found the new controller yet; a change waits for it nevertheless.
        result = await handle.target.remove_candidate("a")
        assert result["agreed"] is True
        assert [f["version"] for f in result["followers"]] == [2]
        assert follower.state.zoo.names == ("b",)
        await handle.target.stop()

    play(World(tmp_path, remote_entry("a"), remote_entry("b")), scene)


def test_running_engines_are_not_restarted_at_the_start(tmp_path):
    async def scene(world, controller):
        assert world.serve.started == []
        assert world.serve.counts == {"candidate-a": 1, "candidate-b": 1}

    serve = FakeServe("candidate-a", "candidate-b", "candidate-old")
    play(World(tmp_path, local_entry("a"), local_entry("b"), serve=serve), scene)


def test_followers_learn_at_once_which_engines_are_not_running(tmp_path):
    async def whole():
        world = World(tmp_path, local_entry("a"), local_entry("b"), serve=FakeServe("candidate-b"))
        controller = await world.controller()
        follower = await world.follow(controller)
        assert follower.availability == {"a": 0, "b": 1}
        await asyncio.sleep(62)  # the engine takes a minute
        assert follower.availability == {"a": 1, "b": 1}
        await follower.stop()
        await controller.stop()

    run(whole())


def test_engines_that_fail_at_the_start_are_reported_and_the_rest_is_served(tmp_path):
    async def scene(world, controller):
        described = await controller.describe()
        assert {c["name"]: c["problem"] for c in described["candidates"]} == {
            "a": "a cannot start",
            "b": None,
        }
        follower = await world.follow(controller)
        await asyncio.sleep(1)
        assert follower.availability == {"a": 0, "b": 1}
        # Adding the candidate again retries the start.
        world.serve.broken.clear()
        await controller.put_candidate(local_entry("a"), None, False)
        assert world.serve.counts == {"candidate-a": 1, "candidate-b": 1}
        assert (await controller.describe())["candidates"][0]["problem"] is None
        await asyncio.sleep(0.1)
        assert follower.availability == {"a": 1, "b": 1}

    serve = FakeServe()
    serve.broken.add("a")
    play(World(tmp_path, local_entry("a"), local_entry("b"), serve=serve), scene)


def test_engines_that_cannot_start_do_not_block_other_changes(tmp_path):
    async def scene(world, controller):
        start = now()
        await controller.put_candidate(remote_entry("d"), document("d"), False)
        await controller.remove_candidate("c")
        assert now() == start
        # Each of the two broken candidates can be fixed or removed without the other.
        world.serve.broken.remove("a")
        await controller.put_candidate(local_entry("a"), None, False)
        assert world.serve.counts == {"candidate-a": 1}
        assert (await controller.describe())["candidates"][1]["problem"] == "b cannot start"
        await controller.remove_candidate("b")
        assert world.store.newest()[0].zoo.names == ("a", "d")

    serve = FakeServe()
    serve.broken.update("ab")
    play(World(tmp_path, local_entry("a"), local_entry("b"), remote_entry("c"), serve=serve), scene)


def test_a_candidate_that_is_added_again_and_still_cannot_start_changes_nothing(tmp_path):
    async def scene(world, controller):
        with pytest.raises(ZooError, match="a cannot start"):
            await controller.put_candidate(local_entry("a"), None, False)
        described = await controller.describe()
        assert described["version"] == 1
        assert described["candidates"][0]["problem"] == "a cannot start"

    serve = FakeServe()
    serve.broken.add("a")
    play(World(tmp_path, local_entry("a"), local_entry("b"), serve=serve), scene)


def test_replicas_of_every_local_candidate_are_counted(tmp_path):
    elastic = local_entry("b", autoscaling_config={"min_replicas": 0, "max_replicas": 2})

    async def scene(world, controller):
        follower = await world.follow(controller)
        assert follower.availability == {"a": 1, "b": 1}
        for name, candidate in (("candidate-b", 1), ("candidate-a", 0)):
            world.serve.counts[name] = 0
            await asyncio.sleep(1.1)
            described = (await controller.describe())["candidates"]
            assert described[candidate]["running_replicas"] == 0
        assert follower.availability == {"a": 0, "b": 0}
        assert described[2]["running_replicas"] is None

    play(World(tmp_path, local_entry("a"), elastic, remote_entry("c")), scene)


def test_replica_counts_are_kept_while_serve_does_not_answer(tmp_path):
    class Restarting(FakeServe):
        answers = True

        async def replicas(self):
            if not self.answers:
                raise RuntimeError("the Serve controller died")
            return await super().replicas()

    async def scene(world, controller):
        follower = await world.follow(controller)
        world.serve.answers = False
        await asyncio.sleep(5)
        assert follower.availability == {"a": 1}

    play(World(tmp_path, local_entry("a"), serve=Restarting("candidate-a")), scene)


def test_a_change_continues_if_its_caller_disconnects(tmp_path):
    async def scene(world, controller):
        work = asyncio.create_task(controller.put_candidate(local_entry("b"), document("b"), False))
        await asyncio.sleep(30)
        assert (await controller.describe())["changing"] == "add candidate 'b'"
        work.cancel()
        await asyncio.sleep(60)
        assert world.store.newest()[0].zoo.names == ("a", "b")
        assert (await controller.describe())["changing"] is None

    play(World(tmp_path, remote_entry("a")), scene)


def test_changes_happen_one_after_the_other(tmp_path):
    async def scene(world, controller):
        await world.follow(controller)
        results = await asyncio.gather(
            *(controller.put_candidate(local_entry(n), document(n), False) for n in "bcd")
        )
        assert sorted(result["version"] for result in results) == [2, 3, 4]
        assert set(world.store.newest()[0].zoo.names) == set("abcd")
        assert [v["version"] for v in await controller.versions()] == [4, 3, 2, 1]

    play(World(tmp_path, remote_entry("a")), scene)


def test_a_router_is_read_before_it_is_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = write_router(tmp_path / "other")
    unreadable = write_router(tmp_path / "unreadable", "f" * 16)

    async def scene(world, controller):
        follower = await world.follow(controller)
        for router in (unreadable, str(tmp_path / "none"), "other"):
            with pytest.raises(ArtifactError):
                await controller.set_router(router)
        assert (await controller.set_router(other))["version"] == 2
        assert follower.state.router == other
        assert world.store.record(2).router_hash != world.store.record(1).router_hash

    play(World(tmp_path, remote_entry("a")), scene)


def test_a_refused_change_does_not_block_later_changes(tmp_path):
    async def scene(world, controller):
        for refused in (
            controller.remove_candidate("x"),
            controller.remove_candidate("a"),
            controller.roll_back(9),
            controller.put_candidate({"name": "b"}, None, False),
            controller.put_candidate(remote_entry("b"), {"candidate": "b"}, False),
        ):
            with pytest.raises((ZooError, ArtifactError)):
                await refused
        assert (await controller.put_candidate(remote_entry("b"), None, False))["version"] == 2

    play(World(tmp_path, remote_entry("a")), scene)
