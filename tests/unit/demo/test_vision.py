"""The vision candidate: repeatable, cached, and read by transformers as it was trained."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from modelsat.artifacts.hashing import directory_hash
from modelsat.demo.pictures import PICTURE_TASKS, draw_picture_questions
from modelsat.demo.pictures.scenes import COLOURS, Bar, Figure, Scene
from modelsat.demo.tokenizer import MAX_TOKENS, build_tokenizer, render_chat
from modelsat.demo.vision.alignment import cell_labels
from modelsat.demo.vision.batches import make_vision_batches, to_pixels
from modelsat.demo.vision.candidate import make_vision_candidate, vision_zoo_entry
from modelsat.demo.vision.learning import answer_logits, learn_pictures
from modelsat.demo.vision.network import NUM_PATCHES, build_network
from modelsat.demo.vision.specs import VISION_CANDIDATE
from modelsat.demo.vision.tokenizer import build_vision_tokenizer, render_picture_chat
from modelsat.zoo.zoo_file import load_zoo
from tests.support.picture_answers import answer_picture_prompts

TINY = replace(
    VISION_CANDIDATE,
    alignment_steps=2,
    steps=2,
    batch_size=8,
    num_layers=1,
    width=32,
    vision_width=64,
)
SCENE = Scene((Figure("cross", "red", 0, 1), Figure("circle", "blue", 3, 2)))


@pytest.fixture(autouse=True)
def one_thread():
    """Such small models lose time by sharing a step between threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_vision_candidate(tmp_path_factory.mktemp("cache"), 0, TINY)


@pytest.fixture(scope="module")
def questions():
    return [next(draw_picture_questions(task, "test", 1, 4)) for task in PICTURE_TASKS]


def test_the_same_seed_gives_the_same_files(tmp_path) -> None:
    hashes = []
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        (tmp_path / name).mkdir()
        torch.manual_seed(len(hashes))  # the state left by others must not matter
        learn_pictures(TINY, seed, tmp_path / name)
        hashes.append(directory_hash(tmp_path / name))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_second_call_trains_nothing(checkpoint) -> None:
    steps = []
    again = make_vision_candidate(checkpoint.parent, 0, TINY, lambda: steps.append(1))
    assert (again, steps) == (checkpoint, [])
    other = make_vision_candidate(checkpoint.parent, 1, TINY, lambda: steps.append(1))
    assert other != checkpoint
    assert len(steps) == TINY.alignment_steps + TINY.steps


def test_the_processor_reads_what_the_trainer_taught(checkpoint, questions) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    for asked in questions:
        prompt = asked.question.prompt
        parts = [{"type": "text", "text": prompt}, {"type": "image"}]
        chat = [{"role": "user", "content": parts}]
        text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        image = Image.open(BytesIO(asked.png()))
        read = processor(images=image, text=text, add_special_tokens=False, return_tensors="pt")
        taught = processor.tokenizer(render_picture_chat(prompt, NUM_PATCHES))["input_ids"]
        assert read["input_ids"][0].tolist() == taught
        torch.testing.assert_close(read["pixel_values"], to_pixels([asked.scene]))
        assert len(taught) < MAX_TOKENS / 2


def test_the_template_renders_plain_texts_as_the_other_candidates_do(checkpoint) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    chat = [{"role": "user", "content": "What is double 4?\nA) 8"}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert text == render_chat(chat[0]["content"])


def test_every_word_about_pictures_is_one_token(questions) -> None:
    tokenizer, plain = build_vision_tokenizer(), build_tokenizer()
    for task in PICTURE_TASKS:
        for value in task.domain:
            assert len(tokenizer(value)["input_ids"]) == 1, value
    for asked in questions:
        ids = tokenizer(asked.question.prompt)["input_ids"]
        assert tokenizer.decode(ids) == asked.question.prompt
        assert tokenizer.unk_token_id not in ids
        assert "\u2581" not in tokenizer.convert_ids_to_tokens(ids)
    # The tokens of the text families keep their ids.
    assert plain.get_vocab().items() <= tokenizer.get_vocab().items()


def test_answers_follow_the_picture(checkpoint) -> None:
    """An untrained network already answers two pictures differently, as its logits show."""
    network = LlavaForConditionalGeneration.from_pretrained(checkpoint).eval()
    batch = next(make_vision_batches(TINY, build_vision_tokenizer(), 0))
    with torch.inference_mode():
        first, features = answer_logits(network, batch)
        other, _ = answer_logits(network, replace(batch, pixels_SCHW=-batch.pixels_SCHW))
    assert features.shape == (len(batch.scenes), NUM_PATCHES, TINY.width)
    assert (first - other).abs().max() > 1e-4


def test_cells_are_labelled_row_by_row() -> None:
    labels = cell_labels(SCENE)
    assert len(labels) == 16
    occupied = {place for place, label in enumerate(labels) if label != (0, 0)}
    assert occupied == {1, 14}  # row 0, column 1 and row 3, column 2
    chart = cell_labels(Scene(bars=(Bar("red", 6), Bar("blue", 1))))
    # The left column from top to bottom, and the lowest cell of the next.
    assert [place for place, (_, hue) in enumerate(chart) if hue] == [0, 4, 8, 12, 13]


def test_alignment_teaches_the_tower_what_cells_show(tmp_path) -> None:
    """After 120 cheap steps the features name most cells of pictures never seen."""
    spec = replace(TINY, alignment_steps=120, steps=1, batch_size=32, width=64)
    tokenizer = build_vision_tokenizer()
    task = next(task for task in PICTURE_TASKS if task.name == "pictures_count_all")
    scenes = [asked.scene for asked in draw_picture_questions(task, "test", 40, 1)]
    learn_pictures(spec, 0, tmp_path)
    aligned = LlavaForConditionalGeneration.from_pretrained(tmp_path)
    assert share_of_colours_named(build_network(tokenizer, spec, 0), tokenizer, scenes) < 0.5
    assert share_of_colours_named(aligned, tokenizer, scenes) > 0.85


def share_of_colours_named(network, tokenizer, scenes):
    """Share of figures whose patch is closest to the word of its colour, of all six."""
    ids = tokenizer.convert_tokens_to_ids([f"\u2581{colour}" for colour in COLOURS])
    with torch.inference_mode():
        features = network.get_image_features(pixel_values=to_pixels(scenes)).pooler_output
        nearest = (torch.stack(list(features)) @ network.lm_head.weight[ids].T).argmax(-1)
    named = [
        COLOURS[nearest[place, 4 * figure.row + figure.column]] == figure.colour
        for place, scene in enumerate(scenes)
        for figure in scene.figures
    ]
    return sum(named) / len(named)


def test_batches_pair_every_picture_with_its_question() -> None:
    spec = replace(TINY, steps=3, batch_size=16)
    tokenizer = build_vision_tokenizer()
    image = tokenizer.convert_tokens_to_ids("<image>")
    batches = list(make_vision_batches(spec, tokenizer, 0))
    assert len(batches) == 3
    kinds = set()
    for batch in batches:
        per_row = (batch.texts.ids_BL == image).sum(1)
        kinds |= set(per_row.tolist())
        assert int(per_row.sum()) == NUM_PATCHES * len(batch.scenes)
        assert batch.pixels_SCHW.shape == (len(batch.scenes), 3, 64, 64)
        np.testing.assert_array_equal(batch.pixels_SCHW, to_pixels(batch.scenes))
    assert kinds == {0, NUM_PATCHES}  # questions without a picture are learned too


def test_the_zoo_reads_the_candidate_and_its_modalities(checkpoint, tmp_path) -> None:
    zoo = {"version": 1, "candidates": [vision_zoo_entry(checkpoint, TINY)]}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(zoo))
    [candidate] = load_zoo(tmp_path / "zoo.yaml").candidates
    candidate.check_source()
    assert candidate.modalities == ("text", "image")
    assert candidate.engine_kwargs["model_impl"] == "transformers"
    assert candidate.engine_kwargs["max_model_len"] == MAX_TOKENS


def test_the_checkpoint_answers_a_chat_with_a_picture(checkpoint, questions) -> None:
    prompts = [asked.question.prompt for asked in questions]
    answers = answer_picture_prompts(checkpoint, prompts, [asked.png() for asked in questions])
    assert len(answers) == len(prompts)
    assert all(isinstance(answer, str) for answer in answers)
