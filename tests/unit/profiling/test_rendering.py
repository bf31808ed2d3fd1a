"""Questions become token ids."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from modelsat.aptitude.images import ImageWriter
from modelsat.aptitude.prompts import Prompts
from modelsat.errors import ZooError
from modelsat.zoo.engines.vllm import VllmCandidate
from profiling.engines.vllm import tokenizer_source
from profiling.engines.vllm_rows import answer_structure, multimodal_data
from profiling.rendering import (
    OPTION_TOKENS,
    QUESTION,
    TokenizerSource,
    _load_tokenizer,
    fill_nulls,
    render_prompts,
)
from tests.support.drawn_images import drawn

WORDS = ["<s>", "<unk>", "<user>", "<assistant>", "how", "many", "?", "Answer:", "A", "B", "yes"]
OWN = "<user> how many ?"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %} <user> {{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)


def _saved(folder: Path, template: str | None) -> TokenizerSource:
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", unk_token="<unk>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return _of_vllm(folder)


def _of_vllm(source: Path | str, **engine_kwargs: str) -> TokenizerSource:
    loading = {"model_id": "m", "model_source": str(source)}
    llm_config = {"model_loading_config": loading, "engine_kwargs": engine_kwargs}
    return tokenizer_source(
        VllmCandidate(name="m", engine="vllm", context_window=8, llm_config=llm_config)
    )


def test_a_chat_template_of_the_zoo_takes_the_place_of_the_tokenizers(tmp_path: Path) -> None:
    _saved(tmp_path / "m", None)
    (tmp_path / "own.jinja").write_text("<user> how {{ messages[0]['content'] }}")
    for template in (str(tmp_path / "own.jinja"), "<user> how {{ messages[0]['content'] }}"):
        source = _of_vllm(tmp_path / "m", chat_template=template)
        table, _ = render_prompts(_questions(["many ?"], [None]), source, Prompts())
        assert table["tokenized_prompt"].to_pylist() == [[WORDS.index(w) for w in OWN.split()]]
    with pytest.raises(ZooError, match=r"'m': chat_template .*gone\.jinja' cannot be read"):
        _of_vllm(tmp_path / "m", chat_template=str(tmp_path / "gone.jinja"))


def _questions(prompts: list[str], n_choices: list[int | None]) -> pa.Table:
    return fill_nulls(
        pa.table(
            {
                "question_id": [str(i) for i in range(len(prompts))],
                "task": ["t"] * len(prompts),
                "prompt": prompts,
                "answer": ["x"] * len(prompts),
                "n_choices": pa.array(n_choices, type=pa.int32()),
                "grader": pa.nulls(len(prompts), pa.string()),
                "grader_args": pa.nulls(len(prompts), pa.string()),
                "request": pa.nulls(len(prompts), pa.string()),
                "images": pa.nulls(len(prompts), pa.list_(pa.string())),
            }
        )
    )


def test_prompt_is_one_user_message_with_one_opening_token(tmp_path: Path) -> None:
    source = _saved(tmp_path, TEMPLATE)
    rendered, _ = render_prompts(_questions(["how many ?", "many"], [None, 4]), source, Prompts())
    assert rendered["tokenized_prompt"].to_pylist() == [[0, 2, 4, 5, 6, 3], [0, 2, 5, 3]]
    assert rendered["question_id"].to_pylist() == ["0", "1"]
    assert rendered[QUESTION].to_pylist() == ["how many ?", "many"]


def test_the_chat_template_gets_the_arguments_of_the_candidate(tmp_path: Path) -> None:
    template = "{% if enable_thinking %}how {% endif %}" + TEMPLATE
    source = replace(_saved(tmp_path, template), template_arguments={"enable_thinking": True})
    rendered, _ = render_prompts(_questions(["many"], [None]), source, Prompts())
    [tokens] = rendered["tokenized_prompt"].to_pylist()
    assert tokens[0] == WORDS.index("how")


def test_a_questions_own_request_is_rendered_with_its_tools(tmp_path: Path) -> None:
    source = _saved(tmp_path, "{% if tools %}how {% endif %}" + TEMPLATE)
    request = {"messages": [{"role": "user", "content": "many"}], "tools": [{"name": "f"}]}
    asked = _questions(["how", "how"], [None, None])
    place = asked.schema.get_field_index("request")
    asked = asked.set_column(place, "request", pa.array(["", json.dumps(request)]))
    rendered, _ = render_prompts(asked, source, Prompts())
    _, tokens = rendered["tokenized_prompt"].to_pylist()
    assert [WORDS[token] for token in tokens] == ["how", "<s>", "<user>", "many", "<assistant>"]


@pytest.mark.parametrize(
    ("response_format", "structure"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"json_object": True}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            {"json": {"type": "object"}},
        ),
    ],
)
def test_a_response_format_becomes_structured_output(
    response_format: Any, structure: dict[str, Any] | None
) -> None:
    assert answer_structure(response_format) == structure


def test_images_become_placeholders_and_stay_at_hand(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% for p in m['content'] %}"
        "{{ 'many' if p['type'] == 'image' else p['text'] }} {% endfor %}{% endfor %}"
    )
    source = _saved(tmp_path, template)
    red, blue = drawn("red"), drawn("blue")
    names = [ImageWriter(tmp_path).store(data, tmp_path) for data in (red, blue)]
    asked = _questions(["how <image2> yes", "how"], [None, None])
    place = asked.schema.get_field_index("images")
    asked = asked.set_column(place, "images", pa.array(["\n".join(names), names[0]]))
    rendered, images = render_prompts(asked, source, Prompts(), [str(tmp_path)])
    texts = [[WORDS[t] for t in row] for row in rendered["tokenized_prompt"].to_pylist()]
    assert texts == [["many", "how", "many", "yes"], ["many", "how"]]
    assert images == [[red, blue], [red]]
    [first, second] = multimodal_data(images[0])["multimodal_data"]["image"]
    assert (first.getpixel((0, 0)), second.getpixel((0, 0))) == ((255, 0, 0), (0, 0, 255))
    assert multimodal_data([]) == {}


def test_engine_rows_have_no_nulls(tmp_path: Path) -> None:
    source = _saved(tmp_path, TEMPLATE)
    rendered, _ = render_prompts(_questions(["how", "many"], [None, 4]), source, Prompts())
    assert rendered["n_choices"].to_pylist() == [0, 4]
    assert rendered["grader"].to_pylist() == ["", ""]


def test_rejects_a_tokenizer_without_chat_template(tmp_path: Path) -> None:
    source = _saved(tmp_path, None)
    with pytest.raises(ZooError, match="'m': its tokenizer has no chat template"):
        render_prompts(_questions(["how"], [None]), source, Prompts())


def test_rejects_a_directory_without_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ZooError, match="'m': no tokenizer can be read from"):
        render_prompts(_questions(["how"], [None]), _of_vllm(tmp_path), Prompts())


@pytest.mark.parametrize(
    ("engine_kwargs", "revision"),
    [
        ({}, "main"),
        ({"revision": "v2"}, "v2"),
        ({"tokenizer_revision": "v3"}, "v3"),
        ({"revision": "v2", "tokenizer_revision": "v3"}, "v3"),
    ],
)
def test_tokenizer_has_the_revision_of_the_engine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine_kwargs: dict[str, str],
    revision: str,
) -> None:
    """Each revision of a hub's model opens its prompts with another token."""
    for name, word in (("main", "how"), ("v2", "many"), ("v3", "yes")):
        _saved(tmp_path / name, f"{word} {TEMPLATE}")
    load = AutoTokenizer.from_pretrained

    def from_hub(source: str, *, revision: str = "main", **options: Any) -> Any:
        assert source == "org/model"
        return load(tmp_path / revision, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", from_hub)
    _load_tokenizer.cache_clear()
    source = _of_vllm("org/model", **engine_kwargs)
    rendered, _ = render_prompts(_questions(["how"], [None]), source, Prompts())
    opening = {"main": "how", "v2": "many", "v3": "yes"}[revision]
    assert rendered["tokenized_prompt"].to_pylist()[0][0] == WORDS.index(opening)
    _load_tokenizer.cache_clear()


EXAMPLES = {"t": (("many", "yes"),)}


def test_examples_come_before_the_question_as_a_chat_or_as_text(tmp_path: Path) -> None:
    source = _saved(tmp_path, TEMPLATE)
    asked = _questions(["how ?"], [None])
    chat, _ = render_prompts(asked, source, Prompts(examples=EXAMPLES))
    # This template puts an assistant's message as it puts a user's.
    assert chat["tokenized_prompt"].to_pylist() == [[0, 2, 5, 2, 10, 2, 4, 6, 3]]
    plain, _ = render_prompts(asked, source, Prompts(chat_template=False, examples=EXAMPLES))
    assert plain["tokenized_prompt"].to_pylist() == [[5, 7, 10, 4, 6, 7]]


def test_plain_text_needs_no_chat_template(tmp_path: Path) -> None:
    source = _saved(tmp_path, None)
    plain = Prompts(chat_template=False)
    rendered, _ = render_prompts(_questions(["how"], [None]), source, plain)
    assert rendered["tokenized_prompt"].to_pylist() == [[4, 7]]
    assert rendered[OPTION_TOKENS].to_pylist() == [[]]


def test_each_question_has_the_tokens_of_its_own_options(tmp_path: Path) -> None:
    source = _saved(tmp_path, None)
    prompts = Prompts(chat_template=False, scoring="loglikelihood")
    rendered, _ = render_prompts(_questions(["how", "many"], [1, 2]), source, prompts)
    assert rendered[OPTION_TOKENS].to_pylist() == [[8], [8, 9]]


def test_rejects_letters_that_are_not_single_tokens(tmp_path: Path) -> None:
    source = _saved(tmp_path, TEMPLATE)
    plain = Prompts(chat_template=False, scoring="loglikelihood")
    with pytest.raises(ZooError, match=r"'m': .*one token for several of the letters A to D"):
        render_prompts(_questions(["how"], [4]), source, plain)
    # Here the letter would run into the template's last word.
    with pytest.raises(ZooError, match=r"'m': the letter A of an option is not a single token"):
        render_prompts(_questions(["how"], [2]), source, Prompts(scoring="loglikelihood"))
