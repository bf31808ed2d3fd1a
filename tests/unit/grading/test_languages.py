"""The words of every language compile, and each kind of words is known."""

import re
from importlib.resources import files

import yaml

from modelsat.grading import answer_phrases

KINDS = {
    *("spaced", "noun", "verb", "announcing", "label", "before", "concluding", "confirming"),
    *("listing", "denying", "denied", "adverb", "conceding", "because", "correcting"),
    *("doubting", "refusing"),
}
REQUIRED = {
    *("english", "chinese", "korean", "japanese", "french", "german", "spanish"),
    *("portuguese", "russian", "arabic", "hindi"),
}


def test_every_language_holds_patterns_of_known_kinds() -> None:
    text = files(answer_phrases.__package__).joinpath("languages.yaml").read_text(encoding="utf-8")
    languages = yaml.safe_load(text)
    assert languages.keys() >= REQUIRED
    for language, words in languages.items():
        assert words.keys() <= KINDS, language
        assert ("noun" in words) == ("verb" in words), language
        for kind in words.keys() - {"spaced"}:
            pattern = re.compile(words[kind].replace("\n", ""), re.IGNORECASE)
            assert not pattern.fullmatch(""), (language, kind)
