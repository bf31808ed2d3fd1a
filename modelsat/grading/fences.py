"""Fenced blocks of an answer in Markdown."""

import re
import textwrap
from typing import NamedTuple

_WORD = re.compile(r"[\w+#.-]*")  # a language, where prose stands before the fence


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        info: what follows the opening fence, such as ``python title="add.py"``.
        text: the lines between the fences, without common indentation.
    """

    info: str
    text: str

    @property
    def language(self) -> str:
        """The first word of ``info`` in lower case; ``{python}`` and ``.python`` are python."""
        return (self.info.strip("{}. ").split() or [""])[0].strip("{}.,").lower()


def fenced_blocks(text: str) -> list[Block]:
    r"""Return the blocks between fences of backticks or tildes that are not blank, in order.

    A fence may stand in a list item or after prose. A block without an end goes to the end of the
    text, or to the next fence that names a language.

    Example:
        >>> fenced_blocks("Here:\n  ~~~json\n  {}\n  ~~~")
        [Block(info='json', text='{}')]
    """
    blocks: list[Block] = []
    info, mark, lines = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        before, found, after = _fence(line, mark)
        if not found:
            lines.append(line)
            continue
        if mark:
            blocks.append(Block(info, textwrap.dedent("\n".join([*lines, before]).rstrip())))
        is_opening = not mark or bool(after)
        info, mark, lines = after, found if is_opening else "", []
    if mark:
        blocks.append(Block(info, textwrap.dedent("\n".join(lines).rstrip())))
    return [block for block in blocks if block.text.strip()]


def _fence(line: str, opened: str) -> tuple[str, str, str]:
    """Return the text before a fence, its mark, and the text after it; no mark without a fence."""
    for char in opened[:1] or "`~":
        before, mark, after = line.rpartition(char * 3)
        head = before.rstrip(char)
        mark += before[len(head) :]
        after = after.strip()
        is_alone = not head.strip()
        if not mark or char in head + after or len(mark) < len(opened):
            continue
        if is_alone or (char == "`" and _WORD.fullmatch(after) and not (opened and after)):
            return head, mark, after
    return "", "", ""
