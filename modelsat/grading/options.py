"""The lettered options of a question, and where a text names one: by its letter or its text."""

import re
import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from modelsat.grading.answer_phrases import DENIED_AFTER, DENIED_BEFORE, LISTED
from modelsat.grading.marked import unwrapped
from modelsat.grading.normal_text import CJK, comparable, words

MAX_CHOICES = 26
_MAX_PART_WORDS = 3
_MARKED = r"(?:\*\*)?[(\[]?({})[).:\]\u3001](?:\*\*)?(?:[ \t]+|(?=[\u3040-\u9fff\uac00-\ud7af]))"
_OPTION_LINE = r"^[ \t]*(?:[-*\u2022][ \t]+)?" + _MARKED + r"(?:\*\*)?(.*\S)[ \t]*$"
_OPTION_LINES = tuple(
    re.compile(_OPTION_LINE.format(letter), re.MULTILINE) for letter in ("[A-Z]", "[a-z]")
)
_INLINE_OPTION = re.compile(r"(?<!\S)" + _MARKED.format("[A-Z]"))
_STRUCK = re.compile(r"~~[^~\n]+~~")
# Letters of other alphabets that stand for Latin ones when they stand alone: keyboards differ.
_ALONE = r"(?<!\w)([{}])(?=\s*(?:[).:,;!?]|\Z|\n))"
_CYRILLIC = re.compile(_ALONE.format("\u0410\u0412\u0421\u0415"))
_ARABIC = re.compile(r"(?<!\w)([\u0623\u0628\u062c\u062f\u0647])(?!\w)")
_LATIN = str.maketrans("\u0410\u0412\u0421\u0415\u0623\u0628\u062c\u062f\u0647", "ABCEABCDE")
_LATIN_WORD = "A-Za-z0-9\u00c0-\u024f"
_BEFORE = rf"(?<![{_LATIN_WORD}'\u2019_])(?<![{_LATIN_WORD}]-)(?<![Nn]/)"
# "A's" is no letter, "C'dir" is: Turkish for "is C".
_AFTER = rf"(?![{_LATIN_WORD}_+#]|['\u2019](?![dt][i\u0131u\u00fc]r)|-[A-Za-z])"
# After "A" these show that it is a letter, not an article ("A city").
_AFTER_A = (
    "is|was|and|or|because|since|as|would|should|seems|looks|must|can|cannot|could|does|has|will"
    "|may|might|but|not|for|over|are|were|isn|doesn|est|ist|es|oder|und|ou|et|que|porque|weil|car|o|e|y|ni|est\u00e1|\u00e9|\u00e8|sind|war"
)
_ARTICLE = re.compile(rf"[ \t]+(?!(?:{_AFTER_A})\b)[a-z\u00df-\u024f]")
_PRONOUN = re.compile(r"[ \t]+(?!is\b|because\b)[A-Za-z]|['\u2019]")
_LIST_MARK = re.compile(
    r"\s*(?:[.,]?\s*(?:or\s+)?(?:maybe|possibly|perhaps)\s"
    rf"|,\s*{LISTED}|,|\u3001|;|/|&|\+|{LISTED})\s*(?:(?:option|choice)\s+)?",
    re.IGNORECASE,
)
_OWN_CLAUSE = re.compile(r"\s*[)\]]?\s+(?:is|was|would|can|has|does|isn|means|refers|says)\b")


@dataclass(frozen=True)
class Mention:
    """Where a text names options.

    Attributes:
        letters: upper-case letters; several if it lists them ("A or B").
        start: index of its first character.
        end: index after its last character.
    """

    letters: tuple[str, ...]
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Start and end."""
        return self.start, self.end


@dataclass(frozen=True)
class Options:
    """The options that a question offers.

    Attributes:
        texts: text by upper-case letter; empty where the prompt does not show it.
    """

    texts: dict[str, str]

    @classmethod
    def of_prompt(cls, prompt: str, n_choices: int) -> "Options":
        """Read the options from a prompt; the last ones shown belong to the question."""
        letters = string.ascii_uppercase[: min(n_choices, MAX_CHOICES)]
        prompt = unicodedata.normalize("NFKC", prompt)
        for line in _OPTION_LINES:
            shown = {letter.upper(): text for letter, text in line.findall(prompt)}
            if len(shown) > 1:
                break
        else:
            shown = _inline_options(prompt, letters)
        return cls({letter: shown.get(letter, "") for letter in letters})

    def prepared(self, text: str) -> str:
        """Return a text without markup, its letters in the Latin alphabet."""
        text = unicodedata.normalize("NFKC", unwrapped(_STRUCK.sub("", text)))
        for alone in (_CYRILLIC, _ARABIC):
            text = alone.sub(lambda found: found.group(1).translate(_LATIN), text)
        return text.strip()

    def group_at(self, text: str, position: int) -> Mention | None:
        """Return the letters named from a position on: "B", "(b)", "A or C"."""
        found = self._letter.match(text, position) or self._lower_letter.match(text, position)
        if not found or self._is_word(found, text):
            return None
        letters, end = [found.group(1).upper()], found.end()
        while mark := _LIST_MARK.match(text, end):
            following = self._letter.match(text, mark.end())
            if not following or self._is_word(following, text):
                break
            if _OWN_CLAUSE.match(text, following.end()) and "or" not in mark.group().lower():
                break  # "the answer is B, C is too large"
            letters.append(following.group(1))
            end = following.end()
        return Mention(tuple(dict.fromkeys(letters)), found.start(1), end)

    def mentions(self, text: str) -> Iterator[Mention]:
        """Yield every letter that a text names and does not deny, in order."""
        position = 0
        while found := self._letter.search(text, position):
            position = found.end()
            mention = self.group_at(text, found.start())
            if mention is None:
                continue
            position = mention.end
            if not is_denied(text, *mention.span):
                yield mention

    def named_by_text(self, text: str) -> set[str]:
        """Return the options whose text occurs in a text, as words that are not denied."""
        found: set[str] = set()
        taken: list[tuple[int, int]] = []
        for letter in sorted(self.texts, key=lambda letter: -len(self.texts[letter])):
            for start, end in self._places(letter, text):
                if not any(start < other and first < end for first, other in taken):
                    taken.append((start, end))
                    if not is_denied(text, start, end):
                        found.add(letter)
        return found

    def equal_to(self, text: str) -> set[str]:
        """Return the options whose text is a text, apart from case, articles and punctuation."""
        exact = {letter for letter, own in self.texts.items() if own and own == text.strip(" .")}
        if len(exact) == 1:
            return exact
        given = comparable(text)
        return {letter for letter, own in self.texts.items() if given and comparable(own) == given}

    def with_words(self, text: str) -> set[str]:
        """Return the options that hold all words of a short text: "Kant" for "Immanuel Kant"."""
        given = set(words(text))
        if not 0 < len(given) <= _MAX_PART_WORDS:
            return set()
        return {letter for letter, own in self.texts.items() if given <= set(words(own))}

    def _places(self, letter: str, text: str) -> Iterator[tuple[int, int]]:
        own = self.texts[letter]
        parts = words(own)
        if not parts or (len(own.strip()) == 1 and own.strip().isalpha()):
            return  # "C" as a text is taken for the letter
        if CJK.search(own):
            pattern = re.escape(own.strip(" .\u3002"))
        else:
            joined = r"[\W_]+".join(re.escape(part) for part in parts)
            pattern = rf"(?<![\w.-]){joined}(?![\w]|[.,]\d)"
        for place in re.finditer(pattern, text, re.IGNORECASE):
            yield place.span()

    def _is_word(self, found: re.Match[str], text: str) -> bool:
        """Return whether a bare letter is an article ("A city") or a pronoun ("I think")."""
        if found.group().strip() != found.group(1):
            return False  # "(A) city"
        following = {"A": _ARTICLE, "I": _PRONOUN}.get(found.group(1))
        return bool(following and following.match(text, found.end()))

    @cached_property
    def _letter(self) -> re.Pattern[str]:
        letters = "".join(self.texts)
        return re.compile(rf"{_BEFORE}[(\[{{<]?\s?([{letters}])(?:\s?[)\]}}>])?{_AFTER}")

    @cached_property
    def _lower_letter(self) -> re.Pattern[str]:
        # A lower-case letter counts only where a clause ends after it: "the answer is a number".
        letters = "".join(self.texts).lower()
        return re.compile(rf"{_BEFORE}[(\[]?\s?([{letters}])\s?(?:[)\]]|(?=\s*(?:[.:,;!?]|\Z|\n)))")


def _inline_options(prompt: str, letters: str) -> dict[str, str]:
    """Return options that stand in one line: "A. Rome B. Paris", the last ones shown."""
    shown: dict[str, str] = {}
    for line in prompt.splitlines():
        marks = list(_INLINE_OPTION.finditer(line))
        if len(marks) > 1 and "".join(mark.group(1) for mark in marks) == letters[: len(marks)]:
            ends = [mark.start() for mark in marks[1:]] + [len(line)]
            shown = {
                mark.group(1): line[mark.end() : end].strip(" ;,")
                for mark, end in zip(marks, ends, strict=True)
            }
    return shown


def is_denied(text: str, start: int, end: int) -> bool:
    """Return whether the words around a mention deny it: "not B", "B is wrong"."""
    before = text[max(0, start - 40) : start]
    return bool(DENIED_BEFORE.search(before) or DENIED_AFTER.match(text, end))
