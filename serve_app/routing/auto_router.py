"""From a request to an order of candidates, by the zoo that this replica follows."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from modelsat.routing.admission import NO_SCORE, Admission
from modelsat.routing.policy import Decision, RoutingContext, rank, rank_without_scores
from serve_app.config import RoutingOptions
from serve_app.contracts.routing import Ranking, RouteRequest
from serve_app.contracts.scores import StatementNote
from serve_app.contracts.zoo_state import ZooState
from serve_app.routing.estimates import Estimates
from serve_app.routing.explanation import Explained, document
from serve_app.routing.score_source import NoScores, ScoreSource
from serve_app.routing.sessions import Sessions
from serve_app.routing.zoo_table import (
    Floats,
    ZooTable,
    admitted_candidates,
    build_table,
    count_prompt_tokens,
)

NO_FINITE_SCORE = "default_no_finite_score"


class Health(Protocol):
    """Which candidates failed lately."""

    def in_cooldown(self) -> Collection[str]:
        """Names of the candidates that are in cool-down now."""


class CandidateWaker(Protocol):
    """Starts candidates that have no running replica."""

    def wake(self, candidate: str) -> None:
        """Start a replica in the background; does nothing while one is starting."""


class AutoRouter:
    """Puts the candidates of the followed zoo in order, request by request."""

    def __init__(
        self,
        options: RoutingOptions,
        source: ScoreSource,
        *,
        health: Health,
        availability: Callable[[], Mapping[str, int]],
        waker: CandidateWaker,
        estimates: Estimates,
        sessions: Sessions | None = None,
    ) -> None:
        """Create a router without a zoo; :meth:`follow` sets the zoo.

        Args:
            options: routing options of the configuration.
            source: scores of texts.
            health: candidates that failed lately.
            availability: running replicas by candidate; a candidate that is absent is running.
            waker: starts candidates.
            estimates: expected cost and latency of answers.
            sessions: candidates of sessions; None: sessions are not kept on a candidate.
        """
        self._options = options
        self._source = source
        self._health = health
        self._availability = availability
        self._waker = waker
        self._estimates = estimates
        self._sessions = sessions
        self._current: ZooTable | None = None

    @property
    def _table(self) -> ZooTable:
        if self._current is None:
            raise RuntimeError("the router follows no zoo yet")
        return self._current

    async def follow(self, state: ZooState) -> None:
        """Switch to a version of the zoo; requests go on meanwhile.

        Raises:
            ArtifactError: the state's router directory cannot be read.
        """
        self._current = await asyncio.to_thread(build_table, state)
        self._estimates.keep_only(state.zoo.names)

    async def rank(self, request: RouteRequest) -> Ranking:
        """Return the order in which candidates are tried.

        Raises:
            ApiError: no candidate can answer: 404, 400 if the prompt is too long, 503 if the zoo
                has no card yet.
        """
        table = self._table
        prompt_tokens = await count_prompt_tokens(table, request)
        admission = admitted_candidates(table, request, prompt_tokens)  # before anything is scored
        lookup = self._look_up_session(request)
        scores: Floats | NoScores
        try:
            scores = await self._source.scores(request.text, table)
        except NoScores as error:
            scores = error
        session_candidate = await lookup if lookup is not None else None
        # If the zoo changed while the scorer worked, a removed candidate must not be ranked.
        newest = self._table
        if newest is not table:
            admission = admitted_candidates(newest, request, prompt_tokens)
            if not isinstance(scores, NoScores):
                scores = newest.align(dict(zip(table.names, scores.tolist(), strict=True)))
        decision = self._decide(newest, request, admission, scores, session_candidate)
        if decision.passed_over is not None:
            self._waker.wake(newest.names[decision.passed_over])
        return _ranking(newest, admission, decision, scores, session_candidate)

    def remember(self, session_id: str, ranking: Ranking, candidate: str) -> None:
        """Remember which candidate answered a session, for its next request.

        A session does not change candidate because scores were missing: then the candidate that
        answered is not remembered.

        Args:
            session_id: the session.
            ranking: result of :meth:`rank` for the request.
            candidate: the candidate that answered.
        """
        is_new = ranking.confidence is not None and candidate != ranking.session_candidate
        if self._sessions is not None and is_new:
            self._sessions.put(session_id, candidate)

    async def explain(self, request: RouteRequest, top_k: int) -> dict[str, Any]:
        """Return the decision on a request and its reasons; sends, starts and remembers nothing.

        Args:
            request: the request.
            top_k: card statements to show of each candidate.

        Raises:
            ApiError: as :meth:`rank`.
        """
        table = self._table
        prompt_tokens = await table.tokens.estimate(request.requirements.text)
        admission = admitted_candidates(table, request, prompt_tokens)
        lookup = self._look_up_session(request)
        statements: Mapping[str, tuple[StatementNote, ...]] = {}
        scores: Floats | NoScores
        try:
            explanation = await self._source.explain(request.text, table, top_k)
            scores, statements = table.align(explanation.by_candidate), explanation.statements
        except NoScores as error:
            scores = error
        session_candidate = await lookup if lookup is not None else None
        decision = self._decide(table, request, admission, scores, session_candidate)
        ranking = _ranking(table, admission, decision, scores, session_candidate)
        return document(
            Explained(table, request, ranking, prompt_tokens, statements, self._estimates)
        )

    def _decide(
        self,
        table: ZooTable,
        request: RouteRequest,
        admission: Admission,
        scores: Floats | NoScores,
        session_candidate: str | None,
    ) -> Decision:
        stopped = [name for name, count in self._availability().items() if count == 0]
        context = RoutingContext(
            in_cooldown=table.indices_of(self._health.in_cooldown()),
            stopped=table.indices_of(stopped),
            session_candidate=table.indices.get(session_candidate or ""),
            session_margin=self._options.sessions.margin,
            cold_start_tolerance=self._options.cold_start_tolerance,
            default_candidate=table.indices.get(self._options.default_candidate or ""),
        )
        if isinstance(scores, NoScores):
            return rank_without_scores(table.accuracy_M, admission, context, scores.reason)
        if not np.isfinite(scores[admission.admitted_M]).any():
            return rank_without_scores(table.accuracy_M, admission, context, NO_FINITE_SCORE)
        return rank(scores, table.costs_M, admission, request.constraints, context)

    def _look_up_session(self, request: RouteRequest) -> asyncio.Task[str | None] | None:
        """Start looking up the session's candidate while the text is scored."""
        if self._sessions is None or request.session_id is None:
            return None
        return asyncio.create_task(self._sessions.get(request.session_id))


def _ranking(
    table: ZooTable,
    admission: Admission,
    decision: Decision,
    scores_M: Floats | NoScores,
    session_candidate: str | None,
) -> Ranking:
    excluded = admission.excluded(table.names)
    excluded.update((table.names[index], NO_SCORE.code) for index in decision.unscored)
    scores: dict[str, float] = {}
    if not isinstance(scores_M, NoScores):
        scores = dict(zip(table.names, scores_M.tolist(), strict=True))
        for index in np.flatnonzero(~np.isfinite(scores_M)).tolist():
            del scores[table.names[index]]
    order = tuple(map(table.names.__getitem__, decision.order))
    return Ranking(
        order=order,
        reason=decision.reason,
        confidence=scores.get(order[0]),
        scores=scores,
        excluded=excluded,
        session_candidate=session_candidate,
        zoo_version=table.version,
    )
