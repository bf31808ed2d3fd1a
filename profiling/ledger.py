"""What a collection has used, in a file: nothing is forgotten when answers are replaced."""

from pathlib import Path

from modelsat.artifacts.store import read_json, write_json
from profiling.budget import Usage


class Ledger:
    """Usage by entry, such as a candidate's answers in a round.

    Args:
        path: JSON file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = read_json(path) if path.exists() else {}

    @property
    def total(self) -> Usage:
        """The sum of all entries."""
        total = Usage()
        for entry in self._entries.values():
            total += Usage(**entry)
        return total

    def record(self, name: str, used: Usage) -> None:
        """Write an entry, in place of an earlier one of that name."""
        if self._entries.get(name) != vars(used):
            self._entries[name] = vars(used)
            write_json(self._path, self._entries)
