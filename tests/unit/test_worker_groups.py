"""Every integration test has a group, and tests that share an endpoint have the same one."""

from pathlib import Path

from tests.support.worker_groups import GROUPS, group_of

INTEGRATION = Path(__file__).parents[1] / "integration"


def test_a_folder_is_a_group_except_for_the_files_named():
    assert group_of("tests/integration/serve_app/test_endpoint.py::test_a[x/y]") == "serve_app"
    assert group_of("tests/integration/serve_app/fleet/test_upgrade.py::test_b") == "serve_app"
    assert group_of("tests/integration/train_jobs/test_lora.py::test_c") == "train_jobs"
    assert group_of("tests/integration/test_nodes.py::test_d") == "train_jobs"
    assert group_of("tests/integration/test_jobs.py::test_e") == "test_jobs.py"


def test_the_files_named_exist_once():
    for name in GROUPS:
        assert len(list(INTEGRATION.rglob(name))) == 1, name
