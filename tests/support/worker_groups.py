"""Groups of integration tests that pytest-xdist runs in one worker, because they share something.

The marker ``xdist_group`` does the same with other versions: pytest-xdist 3.8 passes it on in node
ids that pytest 9.2 no longer lets it change.
"""

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

# A folder of `tests/integration` is a group, and so is a file beside them; these files differ.
GROUPS = {
    "test_nodes.py": "train_jobs",  # shares the unbroken job
    "test_trained_router.py": "train_jobs",  # shares the cluster
    "test_distributed.py": "ranks",
    "test_plan.py": "plan",
    "test_schema.py": "schema",
}


def group_of(node_id: str) -> str:
    """Return the group of an integration test by its node id."""
    path = PurePosixPath(node_id.partition("::")[0])
    return GROUPS.get(path.name, path.parts[2])


class GroupScheduling(LoadScopeScheduling):
    """Gives each group of tests to one worker, those with the most tests first."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
