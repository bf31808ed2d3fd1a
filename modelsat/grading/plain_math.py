r"""Mathematical notation as people and models write it, turned into LaTeX for math-verify."""

import re

from modelsat.grading import marked
from modelsat.grading.normal_text import plain_signs

_MATH_MARKS = re.compile(
    r"\\[()\[\]]|\$\$?(?!\s*-?[\d.])|(?<=[^\s\\])(?<!\bR)\$|(?<=\bR)\$(?!\s*\d)|\\boxed\{\}|(?<![\w)])\*\*|\*\*(?![\w(])|`"
)
_APPROXIMATION = re.compile(r"\s*\(\s*(?:[~\u2248]|\\approx)[^()]*\)\s*\Z")  # "2/3 (~0.67)"
_UNIT = re.compile(r"(?<=[\d}])\s*\\(?:text|mathrm)\{(?!\s*(?:and|or)\s*\})[^{}]*\}(?:\^\{?\d\}?)?")
_THOUSANDS = re.compile(r"(?<!\d)(?<!\d,)(\d{1,3})((?:,\d{3})+)(?!\d|,\d)")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(ln|log|sin|cos|tan|exp)(?=\s*\(|\s+[\w\\])")
NO_SOLUTION = re.compile(r"(?:there (?:is|are) )?no (?:real )?solutions?", re.IGNORECASE)
_SIGNS = {
    "\u2212": "-",
    "\u00d7": r"\times ",
    "\u00b7": r"\cdot ",
    "\u00f7": "/",
    "\u2264": r"\le ",
    "\u2265": r"\ge ",
    "\u03c0": r"\pi ",
    "\u221e": r"\infty ",
    "\u00bd": "1/2",
    "\u00bc": "1/4",
    "\u00be": "3/4",
    "\u2044": "/",
    "\u222a": r"\cup ",
    "\u2208": r"\in ",
    "\u2205": r"\emptyset ",
    r"\varnothing": r"\emptyset ",
}


def clean(text: str) -> str:
    """Return an expression without delimiters, units in TeX, and closing punctuation."""
    text = plain_signs(marked.boxed(text) or text).replace("\\$", "$").replace("\\%", "%")
    text = _MATH_MARKS.sub("", text).replace("\\,", "").replace("\\!", "").replace("{,}", ",")
    text = re.sub(r"\\text\{\s*([^{}]*)\}", r" \1", _UNIT.sub("", text))
    text = re.sub(r"\b(?:negative|minus)\s+(?=\d)", "-", text, flags=re.IGNORECASE)
    return _APPROXIMATION.sub("", text.strip().rstrip(".;:\u3002\u0964")).strip()


def latex(text: str) -> str:
    """Return plain notation as LaTeX where math-verify would misread it."""
    if NO_SOLUTION.fullmatch(text):
        return r"\emptyset"
    text = re.sub("\u221a(\\d+|\\w|\\([^()]*\\))", r"\\sqrt{\1}", text)  # square root sign
    for sign, in_latex in _SIGNS.items():
        text = text.replace(sign, in_latex)
    if ", " in text:  # which separates, so that other commas group digits
        text = _THOUSANDS.sub(lambda found: found[1] + found[2].replace(",", ""), text)
    text = _FUNCTION.sub(r"\\\1", text)
    text = re.sub(r"(?<![\\A-Za-z])(pi|infty|theta)(?![A-Za-z])", r"\\\1", text)
    text = re.sub(r"(?<![\\A-Za-z])inf(?:inity)?(?![A-Za-z])", r"\\infty", text)
    text = re.sub(r"\^(\d\d+|-\d+)", r"^{\1}", text)
    text = re.sub(r"(?<=[\d)}])\s+(?!and\b|or\b)[A-Za-z][A-Za-z ]+\Z", "", text)  # a unit in words
    text = re.sub(r"(?<=\S)\s+(?:mm|cm|dm|km|m|in|ft|yd|kg|mg|g|s|h)(?:\^?[23])?\Z", "", text)
    return text.replace("**", "^")
