"""Recipes: which parts of a folder of tables a router learns from, as a YAML file.

A zoo in a recipe is a group of candidates that answered the same questions, named by the sources
of their outcomes. All of its candidates take one aptitude test.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from modelsat.aptitude.answers import TaskColumn
from modelsat.aptitude.keywords import Keywords, load_keywords, parse_keywords
from modelsat.aptitude.tasks import NUM_CORE_TASKS, SHOTS_PER_TASK
from modelsat.config import FrozenConfig, load_config
from modelsat.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _DescribedTest(FrozenConfig):
    """A test on a benchmark whose tasks keywords describe.

    Attributes:
        benchmark: value of the questions' column ``benchmark``.
        keywords: five describing keywords for each task; None takes those that Model-SAT ships.
    """

    benchmark: Name
    keywords: dict[str, tuple[str, ...]] | None = None

    def task_keywords(self) -> Keywords:
        """Return the keywords of each task.

        Raises:
            ConfigError: they are malformed, or none are given and none are shipped.
        """
        if self.keywords is None:
            return load_keywords(self.benchmark)
        return parse_keywords(self.keywords, source=f"keywords of {self.benchmark}")


class SelectedTest(_DescribedTest):
    """The tasks and questions that best tell the zoo's candidates apart.

    Attributes:
        kind: names this kind of test.
        num_tasks: core tasks.
        shots: questions of each core task.
    """

    kind: Literal["selected"]
    num_tasks: int = Field(default=NUM_CORE_TASKS, ge=1)
    shots: int = Field(default=SHOTS_PER_TASK, ge=2)


class WholeBenchmarkTest(_DescribedTest):
    """Every question of a benchmark that a candidate of the zoo answered.

    Attributes:
        kind: names this kind of test.
        min_shots: tasks with fewer questions are left out.
    """

    kind: Literal["whole_benchmark"]
    min_shots: int = Field(default=1, ge=1)


class SharedTest(FrozenConfig):
    """The test selected for another zoo, from questions that this zoo answered as well.

    Attributes:
        kind: names this kind of test.
        zoo: name of the other zoo; its test is a selected one.
    """

    kind: Literal["shared"]
    zoo: Name


class ZooRecipe(FrozenConfig):
    """Candidates that answered the same questions.

    Attributes:
        name: name of the zoo and of its folder.
        sources: values of the outcomes' column ``source``; a candidate may have outcomes from
            only one of them.
        aptitude_test: what the cards report.
        training_benchmarks: benchmarks whose questions are trained on, except for those of any
            aptitude test.
        task_column: column of the questions that names their task.
        min_coverage_fraction: candidates that answered fewer questions than this fraction of the
            most that a candidate answered are left out.
    """

    name: Name
    sources: tuple[str, ...] = Field(min_length=1)
    aptitude_test: Annotated[
        SelectedTest | WholeBenchmarkTest | SharedTest, Field(discriminator="kind")
    ]
    training_benchmarks: tuple[Name, ...] = Field(min_length=1)
    task_column: TaskColumn = "task"
    min_coverage_fraction: float = Field(default=0.0, ge=0, le=1)


class Recipe(FrozenConfig):
    """What a router learns from.

    Attributes:
        zoos: at least one; those that a folder does not hold are skipped.
        test_fraction: fraction of the questions that are kept out of training, for evaluation.
            Questions that duplicate each other stay together.
        seed: seed of the choice of questions.
    """

    zoos: tuple[ZooRecipe, ...] = Field(min_length=1)
    test_fraction: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 0

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        names = [zoo.name for zoo in self.zoos]
        if len(set(names)) < len(names):
            raise ValueError("two zoos have the same name; give each its own")
        selected = [zoo.name for zoo in self.zoos if isinstance(zoo.aptitude_test, SelectedTest)]
        for zoo in self.zoos:
            test = zoo.aptitude_test
            if isinstance(test, SharedTest) and test.zoo not in selected:
                raise ValueError(
                    f"zoo {zoo.name!r} shares the test of {test.zoo!r}; zoos with a selected "
                    f"test are {', '.join(selected) or 'none'}"
                )
        return self


def load_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: YAML file, or the name of a recipe that Model-SAT ships, such as ``mmlu``.

    Raises:
        ConfigError: there is no such recipe, or a value is refused.
    """
    shipped = {
        Path(file.name).stem: Path(str(file))
        for file in files("modelsat.preparation").joinpath("recipes").iterdir()
    }
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise ConfigError(
            f"there is no recipe {name!r}; give a YAML file, or one of {', '.join(sorted(shipped))}"
        )
    return load_config(Recipe, path)
