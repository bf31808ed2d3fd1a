"""Small cards, matrices and routers for the tests of the router itself."""

from pathlib import Path

import numpy as np

from modelsat.aptitude.tasks import CoreTask, TaskSet
from modelsat.capability.cards import Card, Statement
from modelsat.modeling.calibration import Calibration
from modelsat.modeling.card_features import statement_text
from modelsat.modeling.checkpoint import Router
from modelsat.modeling.config import Layout, ModelConfig
from modelsat.modeling.loading import build_model
from modelsat.modeling.tiny import write_tiny_parts
from modelsat.outcomes.matrix import OutcomeMatrix

TOPICS = ("rivers", "verbs", "sums", "moons")
WORDS = {
    "rivers": "Where does the river {} flow to the sea?",
    "verbs": "Which past tense has the verb {} in English?",
    "sums": "What is the sum of {} and seven?",
    "moons": "How many moons has the planet {}?",
}
SHOTS = 20
TASKS = TaskSet(
    benchmark="toy",
    tasks=tuple(
        CoreTask(
            task=topic,
            keywords=(topic, "a", "b", "c", "d"),
            question_ids=tuple(f"aptitude/{topic}/{i}" for i in range(SHOTS)),
        )
        for topic in TOPICS
    ),
)
TASKS_HASH = TASKS.tasks_hash


def make_card(name: str, correct: dict[str, float]) -> Card:
    """A card over the four topics."""
    statements = tuple(
        Statement(topic, f"{topic}, a, b, c, d", correct[topic], SHOTS) for topic in TOPICS
    )
    return Card(name, TASKS_HASH, statements)


def make_cards(num_cards: int, seed: int = 0) -> list[Card]:
    """Cards with random accuracies."""
    rng = np.random.default_rng(seed)
    return [
        make_card(f"candidate-{i}", {t: float(rng.integers(0, SHOTS + 1)) for t in TOPICS})
        for i in range(num_cards)
    ]


def make_matrix(per_topic: int = 60) -> OutcomeMatrix:
    """Three candidates: two with two topics each, one that knows nothing; no noise."""
    known = {"earth": ("rivers", "moons"), "school": ("verbs", "sums"), "none": ()}
    cards = tuple(
        make_card(name, {t: 19.0 if t in topics else 1.0 for t in TOPICS})
        for name, topics in known.items()
    )
    rows = [(topic, i) for i in range(per_topic) for topic in TOPICS]
    return OutcomeMatrix(
        question_ids=tuple(f"{topic}/{i}" for topic, i in rows),
        instructions=tuple(WORDS[topic].format(f"n{i}") for topic, i in rows),
        tasks=tuple(topic for topic, _ in rows),
        categories=tuple("words" if topic == "verbs" else "world" for topic, _ in rows),
        groups=tuple(f"{topic}/{i}" for topic, i in rows),
        cards=cards,
        correct_QM=np.array(
            [[float(topic in topics) for topics in known.values()] for topic, _ in rows],
            dtype=np.float32,
        ),
    )


def make_router(directory: Path, layout: Layout = "instruction_first", seed: int = 0) -> Router:
    """A random router over the four topics."""
    statements = [statement_text(s) for s in make_cards(1)[0].statements]
    base, encoder = write_tiny_parts(directory, [*make_matrix().instructions, *statements], seed)
    config = ModelConfig(base=str(base), encoder=str(encoder), layout=layout)
    model, tokenizer = build_model(config, seed)
    return Router(model.eval(), tokenizer, config, Calibration(scale=2.0, shift=-0.5), (TASKS,), {})
