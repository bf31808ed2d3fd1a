"""A demo run on disk: what is done is not done again."""

from modelsat.artifacts.store import write_json, write_text
from modelsat.demo import workspace as module
from modelsat.demo.workspace import Workspace
from modelsat.demo.zoo_specs import QUICKSTART_ZOO


def test_a_router_is_evaluated_again_only_if_an_input_changed(monkeypatch, tmp_path):
    demo = Workspace(tmp_path, tmp_path / "cache", QUICKSTART_ZOO, 0, print)
    inputs = [demo.cards, demo.outcomes, demo.tasks, demo.questions("test")]
    for path in (*inputs, demo.questions("training"), demo.router("r") / "router.json"):
        write_text(path, "before")
    runs = []

    def evaluate(arguments, echo):
        runs.append(arguments[0])
        write_json(demo.report("r") / "report.json", {"run": len(runs)})

    monkeypatch.setattr(module, "run_command", evaluate)
    for changed in (None, None, *inputs, demo.router("r") / "router.json"):
        if changed is not None:
            write_text(changed, "after")
        report = demo.run_evaluation("r", demo.candidates, "r")
        assert report == {"run": len(runs)}
    assert runs == ["evaluate"] * (1 + len(inputs) + 1)
    demo.run_evaluation("r", demo.candidates[:2], "r")
    assert len(runs) == 1 + len(inputs) + 2
