"""A word check: the repository avoids our private English and uses the field's terms."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".j2"}

# Pattern, and what to write in its place. Patterns respect case.
REPLACEMENTS = {
    r"\b[Aa]new\b": "again",
    r"\b[Ww]hoever\b": "the person, process or function that is meant",
    r"\bfor want of\b|\b[Ww]ant of\b": "without, because ... is missing",
    r"\bat hand\b": "available",
    r"\b(come|came|comes) by\b": "obtained, got",
    r"\blies about\b": "exists, is installed",
    r"\bput up with\b|\bputs up with\b": "accept, allow",
    r"(?<![a-z])told(?![a-z])": "given, configured, reported, distinguished",
    r"\btells of\b|\btell of\b": "reports, describes",
    r"\bwhat is kept\b": "the name of the thing that is stored",
    r"\bof which\b|\bof whom\b|\bsuch as have\b": "a sentence of its own",
    r"[,;] else the\b": "otherwise the",
    r"\bnobody's\b|\bin the way of\b": "blocks, does not block",
    r"\bleft alone\b": "in cool-down, unchanged, skipped",
    r"\bhand on\b|\bhands on\b|\bhanded on\b": "relay, forward, pass on",
    r"\b[Mm]end(s|ed|ing)?\b": "fix, repair",
    r"\b(is|are|was) no (?!longer|more|less|fewer|\w+er\b)(?<!here is no )(?<!here are no )"
    r"(?<!here was no )": "is not a, are not",
    r"\bbut for\b|\bsave for\b": "except, apart from",
    r"\b(says|said) of\b": "says about",
    r"\blest\b|\bhitherto\b|\bthereof\b|\bwhereof\b|\btherein\b": "today's English",
    r"\b(a|the|an|each|every|one) such\b(?= *[.,;:)]|$)": "the noun that is meant",
    r"\b(Places|Circumstances|Asked|Laboratory|Guests)\b": "the term of STYLE, such as Limiter",
}
# Files that keep their words: the changelog, and questions and answers in natural language.
EXEMPT = (
    "CHANGELOG.md",
    "modelsat/demo/bank/",
    "tests/unit/grading/choice_answers.yaml",
    "tests/unit/grading/other_answers.yaml",
    "tests/test_prose.py",
)


def checked_files():
    names = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    ).splitlines()
    return [
        name
        for name in names
        if Path(name).suffix in SUFFIXES and (ROOT / name).is_file() and not name.startswith(EXEMPT)
    ]


def private_words(text):
    """Line number, words and suggestion of each private expression in a text."""
    for pattern, suggestion in REPLACEMENTS.items():
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield text.count("\n", 0, match.start()) + 1, match[0], suggestion


def test_words_are_those_of_the_field():
    found = [
        f"{name}:{number}: {words!r}; write: {suggestion}"
        for name in checked_files()
        for number, words, suggestion in private_words((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == [], "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train it anew, or use the release", ["anew"]),
        ("which is no zoo of this slice", ["is no "]),
        ("there is no disk space left; it is no longer used", []),
        ("the workers are told the address", ["told"]),
        ("the stage, else the default", [", else the"]),
        ("renewed, holder, amended", []),
    ],
)
def test_finds_private_words(line, expected):
    assert [words for _, words, _ in private_words(f"# fine\n{line}\n")] == expected
