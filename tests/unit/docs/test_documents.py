"""What the documents show holds: commands run, options exist, YAML is valid, code compiles."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from modelsat.cli.main import app
from modelsat.config import parse_config
from modelsat.preparation.recipe import Recipe
from modelsat.zoo.zoo_file import Zoo
from profiling.collect_config import CollectConfig
from profiling.config import ProfileConfig
from serve_app.config import ServeConfig
from tests.support.documents import DOCUMENTS, ROOT, blocks_of, run_in, write_workspace
from train_jobs.config import TrainJobConfig

BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]
MODELS = {
    "zoo.yaml": Zoo,
    "profile.yaml": ProfileConfig,
    "collect.yaml": CollectConfig,
    "train.yaml": TrainJobConfig,
    "recipe.yaml": Recipe,
    "serve.yaml": ServeConfig,
}
# Programs of others, in blocks that a test does not run.
OTHERS = {"curl", "export", "git", "kubectl", "pip", "ray", "serve", "source"}
FRAGMENT = " (fragment)"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents") / "workspace"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_workspace(folder)
    return folder


def name_of(document):
    return document.relative_to(ROOT).as_posix()


def with_commands():
    return [d for d in DOCUMENTS if any(b.language == "bash" and not b.needs for b in blocks_of(d))]


@pytest.mark.parametrize("document", with_commands(), ids=name_of)
def test_commands_run_as_shown(document, workspace, tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    shutil.copytree(workspace, folder, symlinks=True)
    monkeypatch.chdir(folder)
    for block in blocks_of(document):
        if block.title in MODELS:
            (folder / block.title).write_text(block.body)
        elif block.language == "bash" and block.needs is None:
            for program, *arguments in block.commands:
                assert program == "modelsat", f"mark what it needs: {program}"
                run_in(folder, arguments)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.needs], ids=lambda b: b.needs)
def test_commands_that_need_more_exist_with_their_options(block):
    for program, *arguments in block.commands:
        if program == "modelsat":
            parse(arguments)
        elif program == "make":
            target = arguments[0]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif program == "python":
            assert arguments[0] == "-m"  # its --help is run by tests/test_architecture.py
        else:
            assert program in OTHERS, program


def parse(arguments):
    """Parse a command line as the console script does, and run nothing."""
    command = get_command(app)
    context = type(command).context_class(command, info_name="modelsat")
    while hasattr(command, "list_commands"):
        name, *arguments = arguments
        assert name in command.list_commands(context), name
        command = command.get_command(context, name)
        context = type(command).context_class(command, info_name=name, parent=context)
    command.parse_args(context, list(arguments))


def test_unknown_options_do_not_parse():
    parse(["zoo", "add", "gpt-4o", "--zoo", "zoo.yaml"])
    with pytest.raises(Exception, match="--zooo"):
        parse(["zoo", "add", "gpt-4o", "--zooo", "zoo.yaml"])


def configurations():
    return [b for b in BLOCKS if b.language == "yaml" and "(excerpt)" not in (b.title or "")]


@pytest.mark.parametrize("block", configurations(), ids=lambda block: block.title)
def test_yaml_is_valid(block):
    assert block.title is not None, "give the block the title of its file"
    name = block.title.removesuffix(FRAGMENT)
    values = yaml.safe_load(block.body)
    if block.title.endswith(FRAGMENT):
        values = merged(complete(name), values)
    parse_config(MODELS[name], values, source=f"{block.document}: {name}")


def complete(name):
    """The first block of the documents that shows the whole file."""
    return next(yaml.safe_load(block.body) for block in BLOCKS if block.title == name)


def merged(base, extra):
    """The first mapping, with the values of the second in place of its own."""
    if not (isinstance(base, dict) and isinstance(extra, dict)):
        return extra
    return {**base, **{key: merged(base.get(key), value) for key, value in extra.items()}}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"])
def test_python_compiles(block):
    compile(block.body, str(block.document), "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_blocks_name_their_language(document):
    known = {"bash", "python", "text", "yaml"}
    assert {block.language for block in blocks_of(document)} <= known
    assert document.read_text().count("```") == 2 * len(list(blocks_of(document)))


def test_links_of_documents_outside_the_site_lead_somewhere():
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            assert target.startswith("https://") or Path(ROOT / target).exists(), (name, target)
