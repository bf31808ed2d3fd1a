"""Images of questions: stored by content, put into chats, refused by name."""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from modelsat.aptitude.benchmarks import BENCHMARKS
from modelsat.aptitude.images import (
    MAX_BYTES,
    ImageWriter,
    UnusableImage,
    check_image,
    check_marks,
    copy_images,
    embedded_images,
    read_image,
    with_images,
)
from modelsat.aptitude.prompts import Prompts
from modelsat.aptitude.sources import import_benchmark
from modelsat.artifacts.schemas import QUESTIONS
from modelsat.artifacts.store import read_table, write_table
from modelsat.cli.main import app
from modelsat.errors import ArtifactError
from tests.support.drawn_images import drawn

RED, BLUE = drawn("red"), drawn("blue", kind="JPEG")


def url(data: bytes) -> str:
    return f"data:image/{check_image(data)};base64,{base64.b64encode(data).decode()}"


def part(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url(data)}}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_image_is_stored_once_under_the_hash_of_its_content(tmp_path: Path, kind: str) -> None:
    data = drawn("green", kind=kind)
    writer = ImageWriter(tmp_path)
    name = writer.store(data, tmp_path)
    assert name == f"images/{hashlib.sha256(data).hexdigest()[:32]}.{kind.lower()}"
    assert writer.store(url(data), tmp_path) == name
    assert len(list((tmp_path / "images").iterdir())) == 1
    assert read_image(name, [str(tmp_path)]) == data


def test_images_are_stated_as_bytes_paths_urls_and_structs(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    writer = ImageWriter(tmp_path / "out")
    encoded = base64.b64encode(drawn("red", (64, 64))).decode()
    names = [
        writer.store(value, tmp_path)
        for value in (RED, "red.png", str(tmp_path / "red.png"), url(RED), {"bytes": RED})
    ]
    assert len({*names}) == 1
    assert writer.store(encoded, tmp_path) not in names


def test_a_cameras_jpeg_with_several_pictures_and_broken_lines_of_base64_are_read(
    tmp_path: Path,
) -> None:
    file = io.BytesIO()
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    first.save(file, "MPO", save_all=True, append_images=[second])
    assert check_image(file.getvalue()) == "jpeg"
    encoded = base64.encodebytes(drawn("red", (64, 64))).decode()
    assert "\n" in encoded.strip()
    assert ImageWriter(tmp_path).store(encoded, tmp_path).endswith(".png")


def test_a_failed_import_leaves_no_image(tmp_path: Path) -> None:
    ImageWriter(tmp_path).store(BLUE, tmp_path)
    with pytest.raises(UnusableImage), ImageWriter(tmp_path) as writer:
        writer.store(RED, tmp_path)
        writer.store(BLUE, tmp_path)
        writer.store("missing.png", tmp_path)
    assert [file.suffix for file in (tmp_path / "images").iterdir()] == [".jpeg"]


def _too_many_pixels() -> bytes:
    file = io.BytesIO()
    Image.new("1", (8000, 8000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "cannot be read as PNG, JPEG, WEBP, GIF"),
        (b"<svg/>", "cannot be read as"),
        (RED[:40], "cannot be read as"),
        (drawn("red", kind="BMP"), "cannot be read as"),
        (b"x" * (MAX_BYTES + 1), "has 20 MiB; at most 20"),
        (_too_many_pixels(), r"has 8000 x 8000 pixels; at most 50,000,000"),
        ("no.png", "'no.png' does not exist in"),
        ("data:image/png;base64,!!", "not base64"),
        (7, "is stated as int; give bytes, a path or a URL"),
        (None, "is stated as NoneType"),
        ("n" * 400 + ".png", "cannot be read: File name too long"),
        ("http://[::1/x.png", "cannot be downloaded"),
    ],
)
def test_an_unusable_image_is_named(tmp_path: Path, value: Any, reason: str) -> None:
    with pytest.raises(UnusableImage, match=reason):
        ImageWriter(tmp_path).store(value, tmp_path)
    assert not (tmp_path / "images").exists()


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(drawn("red", kind="BMP"))
    with pytest.raises(UnusableImage, match=r"'a.bmp' cannot be read as PNG"):
        ImageWriter(tmp_path).store("a.bmp", tmp_path)


def test_a_mark_without_its_image_is_refused() -> None:
    check_marks("Compare <image1> and <image 2>.", 2)
    with pytest.raises(UnusableImage, match=r"of the mark <image2> is missing; there are 1"):
        check_marks("Compare <image1> and <image2>.", 1)


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("What?", [part(RED), part(BLUE), text("What?")]),
        (
            "Is <image1> like <image 2>?",
            [text("Is "), part(RED), text(" like "), part(BLUE), text("?")],
        ),
        ("<image 2>Why?", [part(RED), part(BLUE), text("Why?")]),
        ("<image2> or <image2>", [part(RED), part(BLUE), text(" or "), part(BLUE)]),
        ("See <image3>.", [part(RED), part(BLUE), text("See <image3>.")]),
    ],
)
def test_images_stand_where_the_prompt_marks_them(prompt: str, parts: list[Any]) -> None:
    assert with_images(prompt, [RED, BLUE]) == parts


def test_a_question_with_images_becomes_one_message(tmp_path: Path) -> None:
    name = ImageWriter(tmp_path).store(RED, tmp_path)
    row = {"question_id": "q", "task": "t", "prompt": "What?", "request": None, "images": [name]}
    prompts = Prompts(examples={"t": (("one?", "1"),)})
    *examples, asked = prompts.chat(row, ["elsewhere", str(tmp_path)])["messages"]
    assert len(examples) == 2
    assert asked == {"role": "user", "content": [part(RED), text("What?")]}
    assert embedded_images([asked]) == [RED]
    with pytest.raises(ArtifactError, match=f"image {name} is in none of elsewhere"):
        prompts.chat(row, ["elsewhere"])


def test_an_image_that_was_changed_is_refused(tmp_path: Path) -> None:
    name = ImageWriter(tmp_path).store(RED, tmp_path)
    (tmp_path / name).write_bytes(drawn("black"))
    with pytest.raises(ArtifactError, match="was changed"):
        read_image(name, [str(tmp_path)])


@pytest.mark.parametrize("address", ["http://h/x.png", "data:image/png;base64,AAAA", "data:text,x"])
def test_only_readable_images_inside_a_request_are_at_hand(address: str) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}
    assert embedded_images([message]) is None


def test_images_follow_a_table_to_another_folder(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    names = [ImageWriter(source).store(data, source) for data in (RED, BLUE)]
    table = pa.table({"images": [names, None, names[:1]]})
    copy_images(table, source, target)
    assert [read_image(name, [str(target)]) for name in names] == [RED, BLUE]


BENCHMARK_ROWS = {
    "mmmu": (
        {
            "id": "validation_Art_Theory_3",
            "question": "Which is like <image 1>?",
            "options": "['a dot', \"a painter's <image 2>\"]",
            "answer": "B",
            "question_type": "multiple-choice",
            "subfield": "Colour",
            "image_1": {"bytes": RED, "path": None},
            "image_2": {"bytes": BLUE, "path": None},
            "image_3": None,
        },
        ("mmmu/validation_Art_Theory_3", "art_theory", "B", 2),
    ),
    "ai2d": (
        {"question": "What?", "options": ["a", "b"], "answer": "1", "image": {"bytes": RED}},
        ("ai2d/ai2d/test/0", "ai2d", "B", 1),
    ),
    "ccbench": (
        {
            "index": 12,
            "question": "Which?",
            "A": "x",
            "B": "y",
            "C": "z",
            "D": None,
            "answer": "C",
            "category": "food",
            "image": base64.b64encode(drawn("red", (64, 64))).decode(),
        },
        ("ccbench/12", "food", "C", 1),
    ),
}


@pytest.mark.parametrize("name", BENCHMARK_ROWS)
def test_rows_of_a_benchmark_become_questions_with_images(tmp_path: Path, name: str) -> None:
    row, (question_id, task, answer, num_images) = BENCHMARK_ROWS[name]
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    writer = ImageWriter(tmp_path)
    imported = import_benchmark(BENCHMARKS[name], str(tmp_path / "rows.parquet"), images=writer)
    [question] = imported.questions.to_pylist()
    assert (question["question_id"], question["task"], question["answer"]) == (
        *(question_id, task),
        answer,
    )
    assert len(question["images"]) == num_images
    for stored in question["images"]:
        read_image(stored, [str(tmp_path)])


def test_open_questions_of_mmmu_are_left_out_and_counted(tmp_path: Path) -> None:
    row, _ = BENCHMARK_ROWS["mmmu"]
    rows = [row, {**row, "id": "validation_Art_4", "question_type": "open", "options": "[]"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    imported = import_benchmark(
        BENCHMARKS["mmmu"], str(tmp_path / "rows.parquet"), images=ImageWriter(tmp_path)
    )
    assert imported.questions.num_rows == 1
    assert imported.manifest["num_without_options"] == 1


def test_a_tsv_file_with_images_in_base64_is_read(tmp_path: Path) -> None:
    row, _ = BENCHMARK_ROWS["ccbench"]
    lines = [
        "\t".join(row),
        "\t".join("" if value is None else str(value) for value in row.values()),
    ]
    (tmp_path / "CCBench.tsv").write_text("\n".join(lines))
    imported = import_benchmark(
        BENCHMARKS["ccbench"], str(tmp_path / "CCBench.tsv"), images=ImageWriter(tmp_path)
    )
    assert imported.questions["n_choices"].to_pylist() == [3]


def _own(folder: Path, image: str) -> tuple[Path, list[str]]:
    row = {"question_id": "q", "benchmark": "b", "task": "t", "prompt": "Colour?", "answer": "red"}
    (folder / "mine.jsonl").write_text(json.dumps({**row, "image": image}))
    out = folder / "out" / "q.parquet"
    words = ["tasks", "import", "own", "--source", str(folder / "mine.jsonl"), "--out", str(out)]
    return out, words


def test_own_questions_bring_their_images(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    out, words = _own(tmp_path, "red.png")
    assert CliRunner().invoke(app, words).exit_code == 0
    [row] = read_table(QUESTIONS, out).to_pylist()
    assert read_image(row["images"][0], [str(out.parent)]) == RED


@pytest.mark.parametrize("image", ['["red.png"', "['red.png']"])
def test_a_malformed_list_of_images_names_its_row(tmp_path: Path, image: str) -> None:
    out, words = _own(tmp_path, image)
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, out.exists()) == (3, False)
    assert "mine.jsonl, row 1: image" in result.stderr


def test_a_row_of_mmmu_with_a_gap_among_its_images_is_refused(tmp_path: Path) -> None:
    row, _ = BENCHMARK_ROWS["mmmu"]
    pq.write_table(pa.Table.from_pylist([{**row, "image_1": None}]), tmp_path / "rows.parquet")
    with pytest.raises(ArtifactError, match="column 'image_1' is empty, a later one is not"):
        import_benchmark(
            BENCHMARKS["mmmu"], str(tmp_path / "rows.parquet"), images=ImageWriter(tmp_path)
        )


def test_a_missing_image_names_its_row_and_nothing_is_written(tmp_path: Path) -> None:
    out, words = _own(tmp_path, "blue.png")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 3
    assert "mine.jsonl, row 1: image 'blue.png' does not exist" in result.stderr
    assert not out.exists()


def test_rotated_questions_keep_their_images(tmp_path: Path) -> None:
    name = ImageWriter(tmp_path).store(RED, tmp_path)
    row = {"question_id": "q", "benchmark": "b", "task": "t", "prompt": "Which?\nA. x\nB. y"}
    row |= {"answer": "A", "n_choices": 2, "images": [name]}
    write_table(QUESTIONS, [row], tmp_path / "q.parquet")
    from modelsat.artifacts.schemas import OUTCOMES

    outcomes = [{"question_id": "q", "candidate": c, "correct": float(c == "a")} for c in "abcd"]
    write_table(OUTCOMES, outcomes, tmp_path / "o.parquet")
    out = tmp_path / "elsewhere" / "rotated.parquet"
    words = ["tasks", "rotate", "--questions", str(tmp_path / "q.parquet"), "--outcomes"]
    words += [str(tmp_path / "o.parquet"), "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    [rotated] = read_table(QUESTIONS, out).to_pylist()
    assert read_image(rotated["images"][0], [str(out.parent)]) == RED
