"""The vision candidate's tokenizer: the demo's words, those of the pictures, and an image token."""

import re
from typing import TYPE_CHECKING

from modelsat.demo.pictures.scenes import COLOURS, SHAPES
from modelsat.demo.pictures.tasks import PICTURE_TASKS
from modelsat.demo.tokenizer import ASSISTANT, BEGIN, USER, build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IMAGE = "<image>"
# As the templates of LLaVA do, this one renders a message's images before its text, so their order
# in the request does not matter. Content may be a text or a list of parts.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}"
    f"{{{{ '{IMAGE}' }}}}"
    "{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_SLOT = re.compile(r"\{[a-z]+\}")


def picture_wording_words() -> tuple[str, ...]:
    """Return the words of the sentences about pictures, slots left out, in alphabetical order."""
    sentences = [w for task in PICTURE_TASKS for w in (*task.wordings, *task.test_wordings)]
    return tuple(sorted({w for text in sentences for w in _WORD.findall(_SLOT.sub(" ", text))}))


def build_vision_tokenizer() -> "PreTrainedTokenizerFast":
    """Build the tokenizer, chat template included; the same on every call."""
    domains = {value for task in PICTURE_TASKS for value in task.domain}
    words = {*picture_wording_words(), *domains, *COLOURS, *SHAPES, "bar"}
    tokenizer = build_tokenizer(sorted(words))
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def render_picture_chat(prompt: str, num_image_tokens: int) -> str:
    """Return what the processor makes of one user message with a picture."""
    return f"{BEGIN}{USER}{IMAGE * num_image_tokens}{prompt}{ASSISTANT}"
