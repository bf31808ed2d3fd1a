"""One unbroken job that the others are held against."""

from pathlib import Path

import pytest

from tests.support.train_jobs.toy_job import overfitting_job, write_toy_tables
from train_jobs.config import TrainJobConfig
from train_jobs.train_router import TrainSummary, train_router


@pytest.fixture(scope="session")
def noisy_tables(tmp_path_factory) -> Path:
    """Tables of which a part can only be learnt by heart."""
    return write_toy_tables(tmp_path_factory.mktemp("noisy"), wrong_fraction=0.3)


@pytest.fixture(scope="session")
def stopped(noisy_tables, tmp_path_factory, ray_cluster) -> tuple[TrainJobConfig, TrainSummary]:
    """A job that stopped early, unbroken."""
    config = overfitting_job(noisy_tables, tmp_path_factory.mktemp("stopped"))
    return config, train_router(config)
