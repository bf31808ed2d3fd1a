import asyncio

import pytest

from modelsat.errors import ArtifactError, MachineError
from serve_app.registry.follower import ZooFollower
from serve_app.registry.following import Update
from tests.support.serve_app.virtual_time import run
from tests.support.serve_app.zoos import remote_entry, state

VERSIONS = {n: state(remote_entry("a"), version=n) for n in (1, 2, 3)}


class FakeController:
    """Publishes versions at stated times; counts the polls."""

    def __init__(self, *timetable):
        self.timetable = timetable
        self.num_open = 0

    async def follow(self, report, timeout_s):
        self.num_open += 1
        try:
            end = asyncio.get_running_loop().time() + timeout_s
            while asyncio.get_running_loop().time() < end:
                now = asyncio.get_running_loop().time()
                newest = max((v for at, v in self.timetable if at <= now), default=0)
                if newest != report.known_version:
                    return Update(VERSIONS[newest])
                await asyncio.sleep(0.25)
            return Update(None)
        finally:
            self.num_open -= 1

    async def acknowledge(self, follower_id, version):
        pass


class Unreachable:
    async def follow(self, report, timeout_s):
        raise MachineError("no answer")


def test_a_controller_that_never_answers_fails_the_start():
    async def scene():
        with pytest.raises(MachineError, match="did not answer within 30 s"):
            await ZooFollower(Unreachable(), "ingress", lambda state: None).start(30)
        assert asyncio.get_running_loop().time() == pytest.approx(30)

    run(scene())


def test_replica_counts_are_passed_on_before_the_first_version_is_applied():
    class Counting(FakeController):
        async def follow(self, report, timeout_s):
            update = await super().follow(report, timeout_s)
            return Update(update.state, {"a": 0})

    async def scene():
        heard = []

        def apply(_state):
            heard.append("applied")

        follower = ZooFollower(Counting((0, 1)), "ingress", apply, on_count=heard.append)
        await follower.start(30)
        assert heard[:2] == [{"a": 0}, "applied"]
        await follower.stop()

    run(scene())


def test_a_first_version_that_cannot_be_applied_fails_the_start():
    def refuse(_state):
        raise ArtifactError("no weights")

    async def scene():
        with pytest.raises(ArtifactError, match="no weights"):
            await ZooFollower(FakeController((0, 1)), "scorer", refuse).start(30)

    run(scene())


def test_intermediate_versions_are_skipped_for_the_newest():
    applied = []

    async def slow(new):
        await asyncio.sleep(10)
        applied.append(new.version)

    async def scene():
        follower = ZooFollower(FakeController((0, 1), (11, 2), (12, 3)), "scorer", slow)
        await follower.start(30)
        await asyncio.sleep(60)
        assert applied == [1, 2, 3]
        await follower.stop()
        applied.clear()
        start = asyncio.get_running_loop().time()
        controller = FakeController((0, 1), (start + 3, 2), (start + 5, 3))
        follower = ZooFollower(controller, "scorer", slow)
        await follower.start(30)
        await asyncio.sleep(60)
        assert applied == [1, 3]
        await follower.stop()

    run(scene())


def test_a_newer_version_does_not_wait_for_the_next_attempt_at_a_broken_one():
    def refuse(new):
        if new.version == 2:
            raise ArtifactError("no weights")

    async def scene():
        controller = FakeController((0, 1), (1, 2), (100, 3))
        follower = ZooFollower(controller, "scorer", refuse)
        await follower.start(30)
        await asyncio.sleep(90)
        assert follower.state.version == 1
        await asyncio.sleep(11)  # attempts to apply version 2 are 30 s apart by now
        assert follower.state.version == 3
        await follower.stop()

    run(scene())


def test_a_stopped_follower_leaves_no_task():
    async def scene():
        controller = FakeController((0, 1))
        follower = ZooFollower(controller, "ingress", lambda state: None)
        await follower.start(30)
        await asyncio.sleep(5)
        assert controller.num_open == 1
        await follower.stop()
        assert controller.num_open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert follower.state.version == 1

    run(scene())
