"""From a request to an order of candidates: who may answer, who is likely right, who is ready."""

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from serve_app.config import RoutingOptions
from serve_app.registry.state import ZooState
from serve_app.routing.decision import (
    SCORE_MISSING,
    Circumstances,
    Decision,
    decide,
    decide_without_scores,
)
from serve_app.routing.estimates import Estimates
from serve_app.routing.explanation import Explained, document
from serve_app.routing.filters import Admission, admit, count_prompt_tokens, nobody_admitted
from serve_app.routing.ranking import Ranking, RouteRequest
from serve_app.routing.score_source import NoScores, ScoreSource
from serve_app.routing.sessions import Sessions
from serve_app.routing.table import Floats, ZooTable, build_table
from serve_app.scoring.scores import StatementNote


class Health(Protocol):
    """Who is left alone because it failed."""

    def wait_s(self, candidate: str) -> float:
        """Seconds until a candidate may be asked; 0 when it may be now."""


class CandidateWaker(Protocol):
    """Starts candidates that have no replica running."""

    def wake(self, candidate: str) -> None:
        """Start one; returns at once, and does nothing while one is being started."""


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
        """Join what a decision needs; :meth:`follow` gives the zoo.

        Args:
            options: the rules.
            source: where scores come from.
            health: which candidates failed lately.
            availability: running replicas by candidate; whoever is not listed runs.
            waker: starts candidates.
            estimates: what answers take and cost.
            sessions: conversations; None: none is kept together.
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
        """Decide by this version of the zoo from now on; requests go on meanwhile.

        Raises:
            ArtifactError: the state's router directory cannot be read.
        """
        self._current = await asyncio.to_thread(build_table, state)
        self._estimates.keep_only(state.zoo.names)

    async def rank(self, request: RouteRequest) -> Ranking:
        """The candidates that may answer, first the one to ask.

        Raises:
            ApiError: nobody may: 400, or 503 where the zoo has no card yet.
        """
        table = self._table
        prompt_tokens = await count_prompt_tokens(table, request)
        _admitted(table, request, prompt_tokens)  # refused before anything is scored
        lookup = self._look_up_session(request)
        scores: Floats | NoScores
        try:
            scores = await self._source.scores(request.text, table)
        except NoScores as error:
            scores = error
        held = await lookup if lookup is not None else None
        # The zoo may have changed while the scorer worked: a candidate that was removed then
        # must not be ranked any more.
        newest = self._table
        if newest is not table and not isinstance(scores, NoScores):
            scores = newest.align(dict(zip(table.names, scores.tolist(), strict=True)))
        ranking, decision = self._decide(newest, request, prompt_tokens, scores, held)
        if decision.passed_over is not None:
            self._waker.wake(newest.names[decision.passed_over])
        return ranking

    def keep(self, session_id: str, ranking: Ranking, candidate: str) -> None:
        """Remember who answered a conversation, for its next request.

        A candidate that answered because there were no scores is not remembered: the
        conversation is not moved for want of them.

        Args:
            session_id: the conversation.
            ranking: what :meth:`rank` said of the request.
            candidate: who answered it.
        """
        is_new = ranking.confidence is not None and candidate != ranking.held
        if self._sessions is not None and is_new:
            self._sessions.put(session_id, candidate)

    async def explain(self, request: RouteRequest, top_k: int) -> dict[str, Any]:
        """The decision on a request and what led to it; nothing is sent, started or remembered.

        Args:
            request: what is asked.
            top_k: card statements told of each candidate.

        Raises:
            ApiError: as :meth:`rank`.
        """
        table = self._table
        prompt_tokens = await table.tokens.estimate(request.requirements.text)
        _admitted(table, request, prompt_tokens)
        lookup = self._look_up_session(request)
        statements: Mapping[str, tuple[StatementNote, ...]] = {}
        scores: Floats | NoScores
        try:
            explanation = await self._source.explain(request.text, table, top_k)
            scores, statements = table.align(explanation.by_candidate), explanation.statements
        except NoScores as error:
            scores = error
        held = await lookup if lookup is not None else None
        ranking, _ = self._decide(table, request, prompt_tokens, scores, held)
        return document(
            Explained(table, request, ranking, prompt_tokens, statements, self._estimates)
        )

    def _decide(
        self,
        table: ZooTable,
        request: RouteRequest,
        prompt_tokens: int,
        scores: Floats | NoScores,
        held: str | None,
    ) -> tuple[Ranking, Decision]:
        admission = _admitted(table, request, prompt_tokens)
        circumstances = Circumstances(
            is_cooled=lambda name: self._health.wait_s(name) > 0,
            availability=self._availability(),
            held=held,
            session_margin=self._options.sessions.margin,
            cold_start_tolerance=self._options.cold_start_tolerance,
            default_candidate=self._options.default_candidate,
        )
        if isinstance(scores, NoScores):
            decision = decide_without_scores(table, admission, circumstances, scores.reason)
            return _ranking(table, admission, decision, None, held), decision
        decision = decide(table, admission, scores, request.constraints, circumstances)
        return _ranking(table, admission, decision, scores, held), decision

    def _look_up_session(self, request: RouteRequest) -> asyncio.Task[str | None] | None:
        """Ask for the conversation's candidate while the text is scored."""
        if self._sessions is None or request.session_id is None:
            return None
        return asyncio.create_task(self._sessions.get(request.session_id))


def _admitted(table: ZooTable, request: RouteRequest, prompt_tokens: int) -> Admission:
    admission = admit(table, request, prompt_tokens)
    if not admission.admitted_M.any():
        raise nobody_admitted(table, admission, prompt_tokens)
    return admission


def _ranking(
    table: ZooTable,
    admission: Admission,
    decision: Decision,
    scores_M: Floats | None,
    held: str | None,
) -> Ranking:
    excluded = admission.excluded | {table.names[p]: SCORE_MISSING for p in decision.unscored}
    scores: dict[str, float] = {}
    if scores_M is not None:
        values = zip(table.names, scores_M.tolist(), strict=True)
        scores = {name: score for name, score in values if math.isfinite(score)}
    order = tuple(table.names[place] for place in decision.order)
    return Ranking(
        order=order,
        reason=decision.reason,
        confidence=scores.get(order[0]),
        scores=scores,
        excluded=excluded,
        held=held,
        zoo_version=table.version,
    )
