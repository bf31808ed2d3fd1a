"""The proof's zoo: the quickstart's, three specialists that learn longer, and a novice."""

from modelsat.demo.bank import TASKS
from modelsat.demo.zoo_specs import QUICKSTART_ZOO, CandidateSpec, of_families

PROOF_ZOO = (
    *QUICKSTART_ZOO,
    CandidateSpec("accountant", of_families("arithmetic"), 700, 0.1),
    CandidateSpec("wordsmith", of_families("text"), 700, 0.1),
    CandidateSpec("clerk", of_families("calendar", "logic"), 900, 0.2),
    CandidateSpec("novice", tuple(task.name for task in TASKS), 150, 0.02),
)
