"""One endpoint at a time on a session's Ray cluster, kept until a test needs another."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any


class Stage:
    """The endpoint that runs now.

    Serve's router application has one name per cluster, so two endpoints cannot run side by side.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._name: str | None = None
        self._endpoint: Any = None

    def get(self, name: str, start: Callable[[], AbstractContextManager[Any]]) -> Any:
        """Return the endpoint of that name: the running one, or one started in its place."""
        if name != self._name:
            self.clear()
            self._endpoint = self._stack.enter_context(start())
            self._name = name
        return self._endpoint

    def clear(self) -> None:
        """Stop the endpoint that runs, if there is one."""
        self._name = None
        self._stack.close()
