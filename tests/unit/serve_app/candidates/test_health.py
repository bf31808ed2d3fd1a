import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serve_app.candidates.health import CandidateHealth, State
from serve_app.config import FallbackOptions
from serve_app.contracts.answers import CandidateFailure

OPTIONS = FallbackOptions(failures_to_cool=3, cooldown_s=5, max_cooldown_s=30)
BROKEN = CandidateFailure("server_error", status=500)


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return CandidateHealth(OPTIONS, clock)


def fail(health, *failures, name="a"):
    for failure in failures:
        health.begin(name).failed(failure)


def limited(retry_after_s=None):
    return CandidateFailure("rate_limited", status=429, retry_after_s=retry_after_s)


def test_three_failures_in_a_row_cool_a_candidate_and_no_other(health):
    fail(health, BROKEN, BROKEN)
    assert health.state("a") == State.HEALTHY
    fail(health, BROKEN)
    assert health.state("a") == State.COOLED
    assert health.begin("a") is None
    assert health.wait_s("a") == 5
    assert health.begin("b") is not None
    assert health.wait_s("b") == 0


def test_a_success_resets_the_count_of_failures(health):
    fail(health, BROKEN, BROKEN)
    health.begin("a").succeeded()
    fail(health, BROKEN, BROKEN)
    assert health.state("a") == State.HEALTHY


@pytest.mark.parametrize(
    ("failure", "wait_s"),
    [
        (limited(), 5),
        (limited(12), 12),
        (limited(1), 1),
        (limited(3600), 30),
        (CandidateFailure("overloaded", status=503, retry_after_s=8), 8),
    ],
)
def test_a_429_or_a_retry_after_cools_at_once(health, failure, wait_s):
    fail(health, failure)
    assert health.state("a") == State.COOLED
    assert health.wait_s("a") == wait_s


def test_a_full_queue_of_this_cluster_is_not_a_failure_of_the_candidate(health):
    fail(health, *[CandidateFailure("overloaded")] * 10)
    assert health.state("a") == State.HEALTHY


def test_a_half_open_candidate_gets_one_request_at_a_time(health, clock):
    fail(health, limited())
    clock.now_s += 4.9
    assert health.begin("a") is None
    clock.now_s += 0.1
    assert health.state("a") == State.HALF_OPEN
    trial = health.begin("a")
    assert trial is not None
    assert health.begin("a") is None
    trial.abandoned()
    assert health.state("a") == State.HALF_OPEN
    assert health.begin("a") is not None


def test_a_trial_that_succeeds_restores_it(health, clock):
    fail(health, BROKEN, BROKEN, BROKEN)
    clock.now_s += 5
    health.begin("a").succeeded()
    assert health.state("a") == State.HEALTHY
    fail(health, BROKEN, BROKEN)
    assert health.state("a") == State.HEALTHY


def test_cool_downs_double_up_to_the_limit_until_a_success(health, clock):
    fail(health, BROKEN, BROKEN, BROKEN)
    lengths_s = []
    for _ in range(5):
        lengths_s.append(health.wait_s("a"))
        clock.now_s += health.wait_s("a")
        fail(health, BROKEN)
    assert lengths_s == [5, 10, 20, 30, 30]
    clock.now_s += 30
    health.begin("a").succeeded()
    fail(health, limited())
    assert health.wait_s("a") == 5


def test_a_first_byte_lets_others_in_but_a_broken_stream_cools_it_again(health, clock):
    fail(health, BROKEN, BROKEN, BROKEN)
    clock.now_s += 5
    stream = health.begin("a")
    stream.answered()
    assert health.state("a") == State.HEALTHY
    assert health.begin("a") is not None
    stream.failed(BROKEN)
    assert health.state("a") == State.COOLED
    assert health.wait_s("a") == 10


def test_streams_that_break_one_after_another_cool_a_candidate(health):
    for _ in range(3):
        stream = health.begin("a")
        stream.answered()
        stream.failed(BROKEN)
    assert health.state("a") == State.COOLED


def test_requests_sent_before_a_cool_down_change_nothing(health, clock):
    early, late = health.begin("a"), health.begin("a")
    fail(health, limited())
    early.succeeded()
    late.failed(limited(30))
    assert health.wait_s("a") == 5


def test_removing_a_candidate_clears_its_failures(health):
    fail(health, limited())
    fail(health, limited(), name="b")
    health.keep(["b", "c"])
    assert health.state("a") == State.HEALTHY
    assert health.state("b") == State.COOLED


def test_the_outcome_of_a_request_counts_once(health):
    trial = health.begin("a")
    for _ in range(5):
        trial.failed(BROKEN)
    assert health.state("a") == State.HEALTHY


def give_up(health, clock, after_s, name="a"):
    trial = health.begin(name)
    clock.now_s += after_s
    trial.unanswered()


def test_a_candidate_whose_callers_all_give_up_is_cooled_after_a_while(health, clock):
    """Each waits 59.5 s, less than `attempt_timeout_s` of 60 s: only the next three count."""
    for _ in range(3):
        give_up(health, clock, 59.5)
        assert health.state("a") == State.HEALTHY
    give_up(health, clock, 59.5)
    assert health.wait_s("a") == 5


def test_clients_that_give_up_at_once_cool_no_candidate(health, clock):
    waiting = [health.begin("a") for _ in range(1000)]
    clock.now_s += 1  # 1000 s together, of one second
    for trial in waiting:
        trial.unanswered()
    assert health.state("a") == State.HEALTHY


@pytest.mark.parametrize("sign", ["answered", "succeeded"])
def test_an_answer_to_any_caller_clears_the_time_of_those_who_gave_up(health, clock, sign):
    early = health.begin("a")
    for _ in range(50):
        give_up(health, clock, 10)
        getattr(health.begin("a"), sign)()
    early.unanswered()  # waited for 500 s, but 0 s since the last answer
    for _ in range(2):
        fail(health, BROKEN)
    assert health.state("a") == State.HEALTHY


def test_abandoned_trials_cool_again_once_they_have_waited_long_enough(health, clock):
    fail(health, limited())
    clock.now_s += 5
    give_up(health, clock, 40)
    assert health.state("a") == State.HALF_OPEN
    give_up(health, clock, 40)
    assert health.wait_s("a") == 10
    clock.now_s += 10
    give_up(health, clock, 40)
    assert health.state("a") == State.HALF_OPEN


class Circuit(RuleBasedStateMachine):
    """Any order of requests, ends and waits, against a simple model of the allowed requests."""

    @initialize(num_failures=st.integers(1, 4))
    def start(self, num_failures):
        self.clock = Clock()
        self.options = FallbackOptions(
            failures_to_cool=num_failures, cooldown_s=2, max_cooldown_s=16
        )
        self.health = CandidateHealth(self.options, self.clock)
        self.running = []
        self.trial = None
        self.in_a_row = 0

    @rule()
    def ask(self):
        could = self.health.state("a")
        trial = self.health.begin("a")
        if could == State.COOLED:
            assert trial is None
        elif could == State.HALF_OPEN:
            assert (trial is None) == (self.trial is not None)
            self.trial = self.trial or trial
        else:
            assert trial is not None
        if trial is not None:
            self.running.append(trial)

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        how=st.sampled_from(["succeeded", "abandoned", "server_error", "rate_limited"]),
        retry_after_s=st.none() | st.integers(0, 40),
    )
    def settle(self, data, how, retry_after_s):
        index = data.draw(st.integers(0, len(self.running) - 1))
        trial = self.running.pop(index)
        before = self.health.state("a")
        is_trial = trial is self.trial
        if is_trial:
            self.trial = None
        if how in ("succeeded", "abandoned"):
            getattr(trial, how)()
        else:
            retry_after_s = retry_after_s if how == "rate_limited" else None
            trial.failed(CandidateFailure(how, status=429, retry_after_s=retry_after_s))
        after = self.health.state("a")
        if how == "abandoned" or (before != State.HEALTHY and not is_trial):
            assert after == before
            return
        if how == "succeeded":
            self.in_a_row = 0
            assert after == State.HEALTHY
            return
        self.in_a_row += 1
        cools = is_trial or how == "rate_limited" or self.in_a_row >= self.options.failures_to_cool
        wait_s = self.health.wait_s("a")
        assert wait_s <= self.options.max_cooldown_s
        if retry_after_s is not None:
            assert wait_s == min(retry_after_s, self.options.max_cooldown_s)
        elif cools:
            assert wait_s >= self.options.cooldown_s
        else:
            assert after == State.HEALTHY

    @rule(seconds=st.integers(0, 20))
    def wait(self, seconds):
        self.clock.now_s += seconds

    @invariant()
    def waiting_is_for_the_cooled(self):
        if hasattr(self, "health"):
            assert (self.health.wait_s("a") > 0) == (self.health.state("a") == State.COOLED)


Circuit.TestCase.settings = settings(max_examples=100, stateful_step_count=30, derandomize=True)
TestAnyOrder = Circuit.TestCase
