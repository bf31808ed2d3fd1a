"""Griffe extension: cross references of our docstrings become plain code in Markdown."""

import re
from typing import Any

import griffe


class PlainRoles(griffe.Extension):
    """Replace ``:func:`name``` and its like by the name alone."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class or function."""
        if obj.docstring is not None:
            value = re.sub(r":(?:py:)?\w+:`~?([^`]+)`", r"`\1`", obj.docstring.value)
            obj.docstring.value = value
