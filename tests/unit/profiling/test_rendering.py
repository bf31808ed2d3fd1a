"""Questions become token ids."""

from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from modelsat.errors import ZooError
from modelsat.zoo import VllmCandidate
from profiling.rendering import NO_CHOICES, QUESTION, render_prompts

WORDS = ["<s>", "<unk>", "<user>", "<assistant>", "how", "many", "?"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} <user> {{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)


def _candidate(folder: Path, template: str | None) -> VllmCandidate:
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", unk_token="<unk>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return _named(folder)


def _named(folder: Path) -> VllmCandidate:
    loading = {"model_id": "m", "model_source": str(folder)}
    return VllmCandidate(
        name="m", engine="vllm", context_window=8, llm_config={"model_loading_config": loading}
    )


def _questions(prompts: list[str], n_choices: list[int | None]) -> pa.Table:
    return pa.table(
        {
            "question_id": [str(i) for i in range(len(prompts))],
            "prompt": prompts,
            "answer": ["x"] * len(prompts),
            "n_choices": pa.array(n_choices, type=pa.int32()),
        }
    )


def test_prompt_is_one_user_message_with_one_opening_token(tmp_path: Path) -> None:
    candidate = _candidate(tmp_path, TEMPLATE)
    rendered = render_prompts(_questions(["how many ?", "many"], [None, 4]), candidate)
    assert rendered["tokenized_prompt"].to_pylist() == [[0, 2, 4, 5, 6, 3], [0, 2, 5, 3]]
    assert rendered["question_id"].to_pylist() == ["0", "1"]
    assert rendered[QUESTION].to_pylist() == ["how many ?", "many"]


def test_no_null_travels_through_the_engine(tmp_path: Path) -> None:
    candidate = _candidate(tmp_path, TEMPLATE)
    rendered = render_prompts(_questions(["how", "many"], [None, 4]), candidate)
    assert rendered["n_choices"].to_pylist() == [NO_CHOICES, 4]


def test_a_tokenizer_without_chat_template_is_refused(tmp_path: Path) -> None:
    candidate = _candidate(tmp_path, None)
    with pytest.raises(ZooError, match="'m': its tokenizer has no chat template"):
        render_prompts(_questions(["how"], [None]), candidate)


def test_a_directory_without_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ZooError, match="'m': no tokenizer can be read from"):
        render_prompts(_questions(["how"], [None]), _named(tmp_path))
