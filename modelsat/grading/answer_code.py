"""The Python source in an answer."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable, Sequence

from modelsat.grading.fences import fenced_blocks

_PYTHON = re.compile(r"(?:i?python|py)[\d.]*|")  # languages of fences that may hold it
_MAX_CHARS = 50_000  # of source that is looked into; a longer fenced block runs as it is
_MAX_TRIES = 20  # of parsing it without the lines that are not Python
_FIRST_LINE = re.compile(r"@|(?:import|from|def|class|async def) |[A-Za-z_]\w* = ")
_HEAD = re.compile(r"^(?:async )?(?:def|class) (\w+)", re.MULTILINE)
_TAG = re.compile(r"</?code>|\[/?PYTHON\]", re.IGNORECASE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def find_code(text: str, entry_point: str | None = None, prefix: str = "") -> str | None:
    """Return the source of an answer: its fenced blocks, or all that is Python without fences.

    The last block that defines the function asked for counts; of other blocks, only imports and
    definitions that this block does not have. Statements around definitions, such as examples,
    may fail; a main program (``if __name__ == "__main__"``) does not run.

    Args:
        text: the answer.
        entry_point: name of the function asked for, if the question names one.
        prefix: source before the answer's. The answer continues it unless it defines
            ``entry_point`` itself.

    Returns:
        The source with the prefix; None if the answer has no code.
    """
    blocks = fenced_blocks(text)
    python = [block.text for block in blocks if _PYTHON.fullmatch(block.language)]
    sources = [block.text for block in blocks] or [_without_tags(text)]
    wanted = entry_point or ([None, *_HEAD.findall(prefix)][-1])
    if wanted:
        head = _completed(prefix)
        code = _defining(sources, wanted, head)
        if code is None and not python:
            lines = _lines_amid_prose(text if blocks else sources[0], wanted)
            code = _defining([lines], wanted, head)
        if code is not None:
            return code
    if blocks and not python:
        return None
    code = "\n\n".join(python or sources)
    if prefix:
        code = _continued(prefix, code[:_MAX_CHARS])
        return (_defining([code], wanted) if wanted else None) or _without_main(code)
    tree = _parsed(code)
    return _without_main(code) if blocks or (tree and tree.body) else None


def defines(source: str, name: str) -> bool:
    """Return whether Python source defines a name, at its top level or in a class there."""
    tree = _parsed(source)
    return tree is not None and name in _defined(tree.body)


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            if len(source) <= _MAX_CHARS:  # compiling many like functions takes quadratic time
                compile(source, "<answer>", "exec", dont_inherit=True)
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defined(nodes: Iterable[ast.stmt]) -> set[str]:
    names = set[str]()
    for node in nodes:
        if isinstance(node, _DEFINITIONS):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= _defined(node.body)
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _defining(sources: list[str], name: str, prefix: str = "") -> str | None:
    """Return the prefix and the last source that defines a name, with what it needs of others."""
    readable = [(source, tree) for source in sources if (tree := _parsed(source))]
    places = [i for i, (_, tree) in enumerate(readable) if name in _defined(tree.body)]
    if not places:
        return None
    source, own = readable.pop(places[-1])
    # The earlier blocks come after the later ones, whose definitions they replace.
    others = [*readable[places[-1] :], *readable[: places[-1]]]
    if sum(len(text) for text in sources) > _MAX_CHARS:  # many thousand statements take long
        return f"{prefix}\n{source}"
    parts = [node for _, tree in others for node in tree.body]
    helpers = [node for node in parts if isinstance(node, (*_IMPORTS, *_DEFINITIONS))]
    body = [node for node in [*helpers, *own.body] if not _is_main(node)]
    futures = [node for node in body if _is_future(node)]
    rest = [_guarded(node) for node in body if not _is_future(node)]
    try:
        return "\n".join([_source(futures), prefix, _source(rest)])
    except (ValueError, RecursionError):  # long numbers and sums cannot be written again
        return f"{prefix}\n{source}"


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _source(nodes: Sequence[ast.stmt]) -> str:
    return ast.unparse(ast.fix_missing_locations(ast.Module([*nodes], [])))


def _is_main(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)


def _guarded(node: ast.stmt) -> ast.stmt:
    """Return a statement that raises nothing; imports and definitions as they are."""
    if isinstance(node, (*_IMPORTS, *_DEFINITIONS)):
        return node
    caught = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, [ast.Pass()])
    return ast.Try([node], [caught], [], [])


def _without_main(source: str) -> str:
    tree = _parsed(source)
    if tree is None or not any(map(_is_main, tree.body)):
        return source
    try:
        return _source([node for node in tree.body if not _is_main(node)])
    except (ValueError, RecursionError):
        return source


def _without_tags(text: str) -> str:
    text = textwrap.dedent(text[:_MAX_CHARS].replace("\r\n", "\n"))
    return text if _parsed(text) else _TAG.sub("", text)


def _lines_amid_prose(text: str, entry_point: str) -> str:
    """Return the lines around the definition of the function that are Python; may be empty."""
    lines = text[:_MAX_CHARS].replace("\r\n", "\n").split("\n")
    head = re.compile(rf"(?:async )?def {re.escape(entry_point)}\b|{re.escape(entry_point)} = ")
    places = [i for i, line in enumerate(lines) if head.match(line)]
    if not places:
        return ""
    start, end = 0, len(lines)
    for _ in range(_MAX_TRIES):
        bad = _first_bad_line("\n".join(lines[start:end]))
        if bad is None:
            return "\n".join(lines[start:end])
        if start + bad > places[-1]:
            end = start + bad
        else:
            later = range(start + bad + 1, places[-1] + 1)
            start = next((i for i in later if _FIRST_LINE.match(lines[i])), end)
    return ""


def _first_bad_line(source: str) -> int | None:
    """Return the place of the line at which Python stops reading, from 0; None if it does not."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(source, "<answer>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return max((error.lineno or 1) - 1, 0)
    except (ValueError, RecursionError, MemoryError):
        return 0
    return None


def _completed(prefix: str) -> str:
    """Return a prefix that can stand alone: a function's head without a body gets one."""
    prefix = prefix.rstrip()
    return prefix if _parsed(prefix) else f"{prefix}\n{_indentation(prefix)}pass"


def _is_head(prefix: str) -> bool:
    """Return whether a prefix ends with a function that has no statement yet."""
    tree = _parsed(prefix)
    last = tree.body[-1] if tree and tree.body else None
    if not isinstance(last, _DEFINITIONS):
        return tree is None
    return all(isinstance(node, ast.Expr) for node in last.body)


def _indentation(prefix: str) -> str:
    """Return the indentation of the line after a prefix."""
    last = prefix.rstrip().rpartition("\n")[2]
    own = last[: len(last) - len(last.lstrip())]
    return own + "    " * last.endswith(":")


def _continued(prefix: str, code: str) -> str:
    """Return a prefix and the code that continues it, as far as both are Python.

    An answer has lost the indentation of all its lines, or of its first line only.
    """
    prefix = prefix.rstrip() + "\n"
    indentation = _indentation(prefix)
    forms = [textwrap.indent(code, indentation), indentation + code, code]
    if not _is_head(prefix):
        forms.reverse()
    runs = [_first_run(prefix, form) for form in forms]
    longest = max(runs, key=lambda run: run.count("\n"))
    return longest if longest != prefix else prefix + code


def _first_run(prefix: str, code: str) -> str:
    """Return the prefix and the first lines of code that are Python after it."""
    num_prefix_lines = prefix.count("\n")
    lines = code.split("\n")
    for _ in range(_MAX_TRIES):
        bad = _first_bad_line(prefix + "\n".join(lines))
        if bad is None:
            return prefix + "\n".join(lines)
        if bad <= num_prefix_lines:
            break
        del lines[bad - num_prefix_lines :]
    return prefix
