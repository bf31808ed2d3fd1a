"""The address of the judge, known before any candidate is asked."""

from pathlib import Path

from modelsat.cli.live_candidate import LiveCandidate, find_live_candidate
from profiling.config import JudgeConfig


def find_judge(judge: JudgeConfig, zoo: Path) -> LiveCandidate:
    """Return where the judge answers; sends nothing.

    Args:
        judge: its name, and its URL if the zoo does not have it.
        zoo: zoo file.

    Raises:
        ConfigError: the URL is malformed.
        ZooError: the zoo does not hold the judge, it has no URL, or its key is missing.
    """
    source = None if judge.url else zoo
    return find_live_candidate(judge.name, source, judge.url, judge.api_key_env)
