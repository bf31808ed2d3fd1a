"""The final answer of a model, apart from the reasoning before it."""

import re
from dataclasses import dataclass

from modelsat.grading.marked import whole_document

# What opens and closes reasoning in plain text, by family: DeepSeek and Qwen, Mistral, Kimi, Seed,
# Command A, MedGemma.
_OPENING = (
    r"<(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|analysis|scratchpad)>"
    r"|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|START_THINKING\|>|<unused94>"
)
_CLOSING = (
    r"</(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|analysis|scratchpad)>"
    r"|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|END_THINKING\|>|<unused95>"
)
_BLOCK = re.compile(
    rf"(?:{_OPENING})((?:(?!{_OPENING}).)*?)(?:{_CLOSING})", re.DOTALL | re.IGNORECASE
)
_OPEN = re.compile(_OPENING, re.IGNORECASE)
_CLOSE = re.compile(_CLOSING, re.IGNORECASE)
# gpt-oss: <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...
# A call of a tool is a message with a recipient, which stands before or after the channel's name:
# <|channel|>commentary to=functions.f <|constrain|>json<|message|>{...}<|call|>
_CHANNEL = re.compile(
    r"(?P<to>\bto=[^\s<]{1,100}\s?)?<\|channel\|>\s*(?P<name>\w+)(?P<header>[^<]*)"
    r"(?:<\|constrain\|>[^<]*)?<\|message\|>",
    re.IGNORECASE,
)
# The same when the server has removed the special tokens.
_BARE_CHANNEL = re.compile(r"\Aanalysis(?=[A-Z\s]).*?assistantfinal", re.DOTALL)
_SPECIAL = re.compile(
    r"<\|(?:end|return|start|call|im_end|im_start|eot_id|end_of_text|endoftext|eom_id"
    r"|begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE|END_OF_TURN_TOKEN)\|>"
    r"(?:assistant)?|</s>|<eos>|<end_of_turn>"
)
# Shortened first: patterns that begin with optional space take quadratic time on long runs of it.
_LONG_SPACE = re.compile(r"\s{200,}")
_MAX_CHARS = 10_000  # a longer search would slow grading; results stand at the end
# Models without a chat template go on with a question of their own.
_NEXT_QUESTION = re.compile(
    r"(?<=\S)\s*\n\s*(?:Question|Problem|Q|User|Human|Instruction)(?:\s*\d+)?\s*[:.](?=\s)"
)


@dataclass(frozen=True)
class FinalAnswer:
    """An answer without its reasoning.

    Attributes:
        text: the final answer, stripped; may be empty.
        is_cut: the answer ended before it was complete: the limit of tokens was reached, its
            reasoning never ended, or nothing follows its reasoning.
    """

    text: str
    is_cut: bool

    @property
    def ending(self) -> str:
        """The last 10,000 characters of the text; graders that search for a result read these."""
        return self.text[-_MAX_CHARS:]


def read_answer(output: str, finish_reason: str | None = None) -> FinalAnswer:
    """Separate the final answer from the reasoning.

    Args:
        output: everything that the model said. Reasoning that the server returned apart from
            the content (``reasoning_content``) is not part of it.
        finish_reason: why generation ended, as the OpenAI API names it; ``length`` means that
            the limit of tokens was reached.

    Example:
        >>> read_answer("<think>Rome? No.</think>Paris")
        FinalAnswer(text='Paris', is_cut=False)
    """
    # Tags in the texts of a JSON document are not marks of reasoning.
    if output.strip().startswith(("{", "[")) and whole_document(output):
        return FinalAnswer(output.strip(), finish_reason == "length")
    text, is_open = _without_channels(output)
    text = _LONG_SPACE.sub("\n\n", _BARE_CHANNEL.sub("", text))
    while _BLOCK.search(text):
        text = _BLOCK.sub("", text)
    # A chat template may open the block in the prompt, so that only its end is in the output.
    *_, text = _CLOSE.split(text)
    opening = _OPEN.search(text)
    if opening:
        text, is_open = text[: opening.start()], True
    text = _SPECIAL.sub("", text).strip()
    text = _NEXT_QUESTION.split(text, maxsplit=1)[0].strip()
    return FinalAnswer(text, is_open or finish_reason == "length" or not text)


def _without_channels(output: str) -> tuple[str, bool]:
    """Return the text of the final channel, or the calls of tools, and whether both are missing.

    Without channels, the text is all of the output.
    """
    channels = list(_CHANNEL.finditer(output))
    if not channels:
        return output, False
    last = channels[-1]
    if _is_call(last):
        ends = [channel.start() for channel in channels[1:]] + [len(output)]
        messages = zip(channels, ends, strict=True)
        calls = [output[channel.start() : end] for channel, end in messages if _is_call(channel)]
        return "\n".join(calls), False
    if last["name"].lower() == "final":
        return output[last.end() :], False
    return "", True


def _is_call(channel: re.Match[str]) -> bool:
    return bool(channel["to"] or "to=" in channel["header"])
