"""Calls of tools in Python's syntax, such as ``[get_weather(city="Paris", days=2)]``."""

import ast
import re
import warnings
from typing import Any

_LIST = re.compile(r"\[\s?[A-Za-z_][\w.]{0,199}\(")
_MAX_LISTS = 10  # that are tried, from the last
_JSON_VALUES = {"true": True, "false": False, "null": None}
_MODULES = ("default_api.", "functions.", "tools.")  # in which models think the tools are


def python_calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls of a text that is nothing but calls; none of any other text.

    Arguments are named and literal; ``true``, ``false`` and ``null`` are literal as well. Calls may
    stand in a list, be printed, or be assigned to a name.

    Example:
        >>> python_calls('[now(), get_weather(city="Paris", days=2)]')
        [('now', {}), ('get_weather', {'city': 'Paris', 'days': 2})]
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            statements = ast.parse(text.strip().strip("`").strip()).body
        return [_call(node) for statement in statements for node in _expressions(statement)]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []


def listed_calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls of the last list of calls amid prose."""
    for opening in reversed([*_LIST.finditer(text)][-_MAX_LISTS:]):
        depth = 0
        for place in range(opening.start(), len(text)):
            depth += {"[": 1, "]": -1}.get(text[place], 0)
            if depth == 0:
                calls = python_calls(text[opening.start() : place + 1])
                if calls:
                    return calls
                break
    return []


def _expressions(statement: ast.stmt) -> list[ast.expr]:
    if not isinstance(statement, ast.Expr | ast.Assign) or statement.value is None:
        raise ValueError("not a call")
    value = statement.value
    return value.elts if isinstance(value, ast.List | ast.Tuple) else [value]


def _call(node: ast.expr) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of a call.

    Raises:
        ValueError: it is not a call, or an argument has no name or is not literal.
    """
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    if isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1:
        return _call(node.args[0])
    if node.args or not isinstance(node.func, ast.Name | ast.Attribute):
        raise ValueError("an argument without a name")
    name = ast.unparse(node.func)
    for module in _MODULES:
        name = name.removeprefix(module)
    return name, {_name(keyword): _literal(keyword.value) for keyword in node.keywords}


def _name(keyword: ast.keyword) -> str:
    if keyword.arg is None:
        raise ValueError("an argument without a name")
    return keyword.arg


def _literal(node: ast.expr) -> Any:
    value = ast.literal_eval(_JsonNames().visit(node))
    return list(value) if isinstance(value, tuple) else value


class _JsonNames(ast.NodeTransformer):
    """Replace the names that JSON has for values."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(_JSON_VALUES[node.id]) if node.id in _JSON_VALUES else node
