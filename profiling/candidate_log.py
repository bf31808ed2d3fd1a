"""Lines on stderr about each candidate, above the bar or beside the lines of overall progress."""

import sys

from modelsat.progress import Progress, clear_bar


class CandidateLog:
    """Prints what happens to each candidate and counts answers.

    Args:
        progress: counts the answers of all candidates together.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._answering: set[str] = set()

    def say(self, candidate: str, text: str) -> None:
        """Print one line about a candidate."""
        clear_bar()
        sys.stderr.write(f"profile: {candidate}: {text}\n")
        sys.stderr.flush()

    def settled(self, candidate: str, num_answers: int) -> None:
        """Count answers that an earlier run has kept."""
        self._progress.advance(num_answers)
        self.say(candidate, f"{num_answers} questions are settled by an earlier run")

    def answered(self, candidate: str, num_new: int, num_all: int, total: int) -> None:
        """Count answers, and print a line about a candidate's first ones.

        Args:
            candidate: its name.
            num_new: answers that have just come.
            num_all: answers so far, those of earlier runs included.
            total: questions that the candidate is asked.
        """
        self._progress.advance(num_new)
        if candidate not in self._answering:
            self._answering.add(candidate)
            self.say(candidate, f"{num_all}/{total} questions answered")
