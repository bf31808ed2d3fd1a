"""Each format is read from small files in its real shape (``samples/``), made by hand."""

import csv
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelsat.errors import ArtifactError, ConfigError
from modelsat.evaluation_logs.answer import LeftOut, LoggedAnswer
from modelsat.evaluation_logs.readers import FORMATS, TABLE, open_reader

SAMPLES = Path(__file__).parent / "samples"
SUM, COLOUR = "What is 2 + 2?", "Which of these is a colour?\nA. stone\nB. blue\nC. run\nD. seven"
DAYS = "How many days are in a week?\nA. five\nB. six\nC. seven\nD. eight"
SPIDER, PENS = "How many legs has a spider?", "A box holds 3 pens. How many pens do 2 boxes hold?"

# Format; folder; scores by candidate and start of the question (or its id); rows not imported.
CASES: list[tuple[str, str, dict[str, dict[str, float]], dict[str, int]]] = [
    (
        "lm_eval",
        "lm_eval",
        {
            "org/model-a": {SUM: 1, PENS: 1, COLOUR: 1, DAYS: 1},
            "org/model-b": {SUM: 0, PENS: 1, COLOUR: 0, DAYS: 1},
        },
        {"files of earlier runs of a task": 1, "rows of further filters": 4},
    ),
    (
        "inspect",
        "inspect",
        {
            # Two epochs each; the newest log, of a run that was cancelled, holds the first only.
            "provider/model-a": {SUM: 1, SPIDER: 0.75, "Name the capital of France.": 0.5},
            "provider/model-b": {SUM: 1, SPIDER: 0.25, "Name the capital of France.": 1},
        },
        {"samples without a score between 0 and 1": 2},
    ),
    (
        "inspect",
        "inspect_json",
        {"provider/model-a": {SUM: 1, SPIDER: 0, "Name the capital of France.": 1}},
        {},
    ),
    (
        "llmrouterbench",
        "llmrouterbench",
        {
            "model-a": {SUM: 1, SPIDER: 1, "What is 10 - 3?": 1},
            "model-b": {SUM: 1, SPIDER: 0},
        },
        {
            "files of demo runs": 1,
            "files of earlier runs": 1,
            "records without a score between 0 and 1": 1,
        },
    ),
    (
        "routerarena",
        "routerarena",
        {
            "model-a": {"Please solve": 1, "Please read": 1, "Context: Ann": 0.6375},
            "model-b": {"Please solve": 0, "Please read": 1},
        },
        {"answers without a score": 2},
    ),
    (
        "routerbench",
        "routerbench",
        {
            "vendor/model-a": {"Answer with": 1, "Please answer": 1, "How many legs": 0.75},
            "model-b": {"Answer with": 0, "Please answer": 1, "How many legs": 0},
        },
        {},
    ),
    (
        "embedllm",
        "embedllm",
        {
            "org-one/model-a-7b": {SUM: 1, COLOUR: 1},
            "org-two/model-b-13b": {SUM: 0, COLOUR: 1},
        },
        {},
    ),
    (
        "helm",
        "helm",
        {"org/model-a": {COLOUR: 1, DAYS: 1}, "org/model-b": {COLOUR: 0, DAYS: 0}},
        {},
    ),
    (
        "opencompass",
        "opencompass",
        {
            "model-a": {
                "Question: What is 2": 1,
                "Question: How many legs": 1,
                "Question: What is 10": 1,
                "Which of these": 1,
                "How many days": 1,
            },
            "model-b": {
                "Question: What is 2": 0,
                "Question: How many legs": 1,
                "Question: What is 10": 0,
                "Which of these": 0,
                "How many days": 1,
            },
        },
        {"answers without a score, or without their prediction": 6},
    ),
    (
        "vlmevalkit",
        "vlmevalkit",
        {
            "model-a": {"[image 0]\nWhich colour": 1, "[image 1]\nHow many dots": 1},
            "model-b": {"[image 0]\nWhich colour": 0},
        },
        {"requests that failed": 1},
    ),
    (
        "alpaca_eval",
        "alpaca_eval/model-b",
        {"model-b": {"Name three": 0.0312, "Write one": 0.2045}},
        {"annotations without a preference": 1},
    ),
    (
        "arena_hard",
        "arena_hard",
        # A=B, then A>B with the answers swapped; B>A and A>>B.
        {"model-a": {"Write a function": 0.75, SUM: 1}, "model-b": {"Write a function": 0}},
        {"judgements without both verdicts, or without their question": 1},
    ),
    (
        "arena_hard",
        "arena_hard_old",
        {"model-a": {"Write a function": 0.75, SUM: 1}, "model-b": {"Write a function": 0}},
        {"judgements without both verdicts, or without their question": 1},
    ),
    (
        "evalplus",
        "evalplus",
        {
            "toy/model-a": {"HumanEval/0": 1, "HumanEval/1": 0.5},
            "toy/model-b": {"HumanEval/0": 0, "HumanEval/1": 0},
        },
        {},
    ),
    (
        "swebench",
        "swebench",
        {
            "toy/model-a": {"toy__repo-1": 1, "toy__repo-2": 1, "toy__repo-3": 0},
            "toy/model-b": {"toy__repo-1": 0, "toy__repo-2": 0},
        },
        {"instances with an error of the harness": 1},
    ),
    (
        "bfcl",
        "bfcl",
        {
            "vendor_model-a-FC": {"simple_python_0": 1, "simple_python_1": 1},
            "model-b": {"simple_python_0": 1},
        },
        {"requests that failed": 1},
    ),
]


def read(name: str, folder: Path, *columns: str) -> tuple[list[LoggedAnswer], Counter[str]]:
    left_out = LeftOut()
    answers = list(open_reader(name, columns)([folder], left_out))
    return answers, +left_out.counts


def prepared(folder: str, tmp_path: Path) -> Path:
    """The samples of a format; Inspect's archives are kept unpacked."""
    if folder != "inspect":
        return SAMPLES / folder
    for log in (SAMPLES / folder).iterdir():
        with zipfile.ZipFile(tmp_path / f"{log.name}.eval", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in log.rglob("*") if path.is_file()):
                archive.write(file, str(file.relative_to(log)))
    return tmp_path


@pytest.mark.parametrize(("name", "folder", "scores", "left_out"), CASES, ids=[c[1] for c in CASES])
def test_scores_of_every_candidate_are_read(name, folder, scores, left_out, tmp_path) -> None:
    answers, counts = read(name, prepared(folder, tmp_path))
    found: dict[str, dict[str, float]] = {}
    for answer in answers:  # the first of a candidate and a question counts
        text = answer.prompt or answer.question_id
        found.setdefault(answer.candidate, {}).setdefault(text, answer.score)
    assert found.keys() == scores.keys()
    for candidate, expected in scores.items():
        assert len(found[candidate]) == len(expected)
        for start, score in expected.items():
            matching = [value for text, value in found[candidate].items() if text.startswith(start)]
            assert matching == [pytest.approx(score, abs=1e-4)], (candidate, start)
    assert counts == left_out


def test_every_format_has_a_sample() -> None:
    assert {case[0] for case in CASES} | {TABLE} == set(FORMATS)


def first(name: str, folder: str, tmp_path: Path, candidate: str, start: str) -> LoggedAnswer:
    answers, _ = read(name, prepared(folder, tmp_path))
    return next(a for a in answers if a.candidate == candidate and a.prompt.startswith(start))


def test_gold_answers_options_and_words_are_kept(tmp_path: Path) -> None:
    colour = first("lm_eval", "lm_eval", tmp_path, "org/model-b", COLOUR)
    assert (colour.answer, colour.n_choices, colour.output) == ("B", 4, "A")
    pens = first("lm_eval", "lm_eval", tmp_path, "org/model-a", PENS)
    assert (pens.answer, pens.grader, pens.output) == ("6", "math", " The answer is 6")
    days = first("helm", "helm", tmp_path, "org/model-a", DAYS)
    assert (days.answer, days.n_choices, days.latency_s) == ("C", 4, 0.42)


def test_tokens_and_costs_are_kept(tmp_path: Path) -> None:
    answer = first("llmrouterbench", "llmrouterbench", tmp_path, "model-a", SUM)
    assert (answer.prompt_tokens, answer.completion_tokens) == (19, 9)
    assert answer.cost_usd == pytest.approx(2.82e-5)
    answer = first("routerarena", "routerarena", tmp_path, "model-a", "Please solve")
    assert (answer.prompt_tokens, answer.completion_tokens) == (60, 12)
    assert answer.cost_usd == pytest.approx(1.62e-5)


def test_older_sample_logs_of_lm_eval_are_lists_without_names_of_filters() -> None:
    answers, counts = read("lm_eval", SAMPLES / "lm_eval_old")
    assert {answer.candidate for answer in answers} == {"org/model-a", "org/model-b"}
    assert {answer.task for answer in answers} == {"toy_gen", "toy_mc"}
    assert counts == {}


def test_excel_files_of_vlmevalkit_say_the_same_as_its_texts(tmp_path: Path) -> None:
    """Numbers are cells of their own kind in Excel."""
    for file in (SAMPLES / "vlmevalkit").rglob("*_result.tsv"):
        lines = csv.reader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        rows = [
            [int(cell) if cell.isdecimal() else cell or None for cell in line] for line in lines
        ]
        path = (tmp_path / file.parent.name / file.name).with_suffix(".xlsx")
        path.parent.mkdir()
        save_sheet(path, [*rows, [None] * len(rows[0])])
    assert read("vlmevalkit", tmp_path) == read("vlmevalkit", SAMPLES / "vlmevalkit")


def save_sheet(path: Path, rows: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def test_judgements_of_several_judges_are_not_mixed() -> None:
    with pytest.raises(ArtifactError, match=r"alpaca_eval_gpt4, weighted.*import one at a time"):
        read("alpaca_eval", SAMPLES / "alpaca_eval")


@pytest.mark.parametrize(
    ("name", "files", "reason"),
    [
        ("lm_eval", {}, "holds no file named"),
        ("lm_eval", {"samples_t.jsonl": "{"}, "samples_t.jsonl, line 1: not JSON"),
        ("lm_eval", {"samples_t.jsonl": "7\n"}, "line 1: not a JSON object"),
        ("inspect", {"log.eval": "no archive"}, "log.eval is not a readable Inspect log"),
        ("inspect", {"log.json": "{}"}, "has no `eval`"),
        ("llmrouterbench", {"run.json": "[]"}, "has no list `records`"),
        ("helm", {"run_spec.json": "{}"}, "run helm-summarize"),
        ("evalplus", {"x_eval_results.json": "{}"}, "has no `eval`"),
        ("embedllm", {"train.parquet": "no table"}, "not a readable parquet file"),
        ("vlmevalkit", {"m/m_T_result.xlsx": "no book"}, "m_T_result.xlsx is not a readable Excel"),
        ("routerbench", {"t.csv": '"a\n'}, None),
    ],
)
def test_a_broken_file_is_named(name, files, reason, tmp_path) -> None:
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    if reason is None:
        assert read(name, tmp_path) == ([], {})
        return
    with pytest.raises(ArtifactError, match=reason):
        read(name, tmp_path)


def test_an_interrupted_archive_is_named(tmp_path: Path) -> None:
    whole = next(prepared("inspect", tmp_path).glob("*A.eval"))
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "log.eval").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match=r"log.eval is not a readable Inspect log"):
        read("inspect", cut)


ROWS: list[dict[str, Any]] = [
    {"m": "a", "q": {"text": "1 + 1?"}, "ok": True, "usd": 0.5},
    {"m": "b", "q": {"text": "1 + 1?"}, "ok": "0.25", "usd": None},
    {"m": "b", "q": {"text": "2 + 2?"}, "ok": "n/a", "usd": 1},
]
COLUMNS = ("prompt=q.text", "candidate=m", "score=ok", "cost_usd=usd")


@pytest.mark.parametrize("kind", ["jsonl", "json", "jsonl.gz", "parquet", "csv", "tsv", "xlsx"])
def test_any_table_is_read_by_its_columns(kind: str, tmp_path: Path) -> None:
    path, columns = tmp_path / f"rows.{kind}", COLUMNS
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    flat = [{**row, "q": row["q"]["text"], "ok": str(row["ok"])} for row in ROWS]
    if kind == "jsonl.gz":
        import gzip

        path.write_bytes(gzip.compress(lines.encode()))
    elif kind == "xlsx":
        columns = ("prompt=q", *COLUMNS[1:])
        save_sheet(path, [list(flat[0]), *(list(row.values()) for row in flat)])
    elif kind in ("csv", "tsv", "parquet"):
        columns = ("prompt=q", *COLUMNS[1:])
        table = pyarrow.Table.from_pylist(flat)
        if kind == "parquet":
            pq.write_table(table, path)
        else:
            options = pyarrow.csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
            pyarrow.csv.write_csv(table, path, options)
    else:
        path.write_text(json.dumps(ROWS) if kind == "json" else lines)
    answers, counts = read(TABLE, path, *columns)
    found = [(a.candidate, a.prompt, a.score, a.cost_usd) for a in answers]
    assert found == [("a", "1 + 1?", 1.0, 0.5), ("b", "1 + 1?", 0.25, None)]
    assert counts == {"rows without a score between 0 and 1": 1}


def test_conversations_that_differ_before_their_last_question_are_apart(tmp_path: Path) -> None:
    def chat(first: str) -> list[dict[str, str]]:
        said = [("system", "Be brief."), ("user", first), ("assistant", "So."), ("user", "Sure?")]
        return [{"role": role, "content": text} for role, text in said]

    rows = [
        {"q": chat(first), "o": [*chat(first), {"role": "assistant", "content": "Yes."}], "s": 1}
        for first in ("Sort a list", "Capital of France")
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    answers, _ = read(TABLE, tmp_path / "rows.json", "prompt=q", "output=o", "score=s")
    asked = ["Sort a list\nSo.\nSure?", "Capital of France\nSo.\nSure?"]
    assert [(a.prompt, a.output) for a in answers] == [(prompt, "Yes.") for prompt in asked]


def test_a_row_without_a_candidate_is_not_given_to_the_file(tmp_path: Path) -> None:
    rows = [{"m": name, "q": "1 + 1?", "s": 1, "f": 5} for name in ("", None, 0)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    columns = ("prompt=q", "candidate=m", "score=s", "finish_reason=f")
    answers, _ = read(TABLE, tmp_path / "rows.json", *columns)
    assert [(a.candidate, a.finish_reason) for a in answers] == [("", "5"), ("", "5"), ("0", "5")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("q,m,q,s\nx,a,y,1\n", "two columns named 'q'"),
        ("q,s\nx,1\ny,1,2\n", "rows.csv, line 3: 1 more cells than columns"),
    ],
)
def test_cells_of_a_table_are_not_lost(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ArtifactError, match=reason):
        read(TABLE, tmp_path / "rows.csv", "prompt=q", "score=s")


def test_a_separator_at_the_end_of_a_line_is_no_cell(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("q,s\nx,1,\n")
    answers, _ = read(TABLE, tmp_path / "rows.csv", "prompt=q", "score=s")
    assert [(one.prompt, one.score) for one in answers] == [("x", 1.0)]


@pytest.mark.parametrize("target", [["Paris", "the City"], "['Paris', 'the City']"])
def test_several_references_of_lm_eval_are_a_list(target: object, tmp_path: Path) -> None:
    row = {"doc": {"question": "Capital?"}, "target": target, "resps": [["Paris"]], "em": 1}
    (tmp_path / "samples_trivia_2024-01-01T00-00-00.0.jsonl").write_text(json.dumps(row))
    [answer], _ = read("lm_eval", tmp_path)
    assert answer.answer == '["Paris", "the City"]'


@pytest.mark.parametrize(
    ("name", "columns", "reason"),
    [
        ("excel", (), "unknown format 'excel'; there are"),
        (TABLE, (), "missing: prompt, score"),
        (TABLE, ("prompt=a", "score=b", "colour=c"), "unknown: colour=c"),
        ("helm", ("prompt=a",), "'helm' has fixed columns"),
    ],
)
def test_a_wrong_format_or_column_is_refused(name, columns, reason) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        open_reader(name, columns)


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "helm", tmp_path / "helm")
    with pytest.raises(ArtifactError, match="nowhere does not exist"):
        read("helm", tmp_path / "nowhere")


def test_a_column_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question,model,ok\n1 + 1?,a,1\n")
    columns = ("prompt=question", "candidate=modle", "score=ok")
    with pytest.raises(ArtifactError, match="no column modle; its columns are question, model, ok"):
        read(TABLE, tmp_path / "rows.csv", *columns)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"\x1f\x8b broken", "m\u00fcde".encode("latin-1")]
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_bytes_that_are_no_text_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=name):
        read(TABLE, tmp_path / name, "prompt=p", "score=s")


def test_a_mark_of_the_byte_order_is_no_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("\ufeffp,s\n1 + 1?,1\n", encoding="utf-8")
    answers, _ = read(TABLE, tmp_path / "rows.csv", "prompt=p", "score=s")
    assert [answer.prompt for answer in answers] == ["1 + 1?"]
