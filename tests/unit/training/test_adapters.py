"""LoRA adapters: which parameters train, merging, and invalid sizes."""

import pytest
import safetensors.torch
import torch
from torch import nn
from transformers import AutoModel, BertConfig, GPT2Config, Phi3Config, PreTrainedModel, Qwen2Config

from modelsat.config import parse_config
from modelsat.errors import ConfigError
from modelsat.modeling.checkpoint import load_router, save_router
from modelsat.outcomes.splits import split_validation
from modelsat.training.adapters import add_adapters, merge_adapters
from modelsat.training.config import LoraConfig, StageConfig, TrainingConfig
from modelsat.training.outputs import network_scores
from modelsat.training.stages import adapt_for_stage, freeze_for_stage, parameter_groups
from tests.support.plain_training import train_in_process
from tests.support.router_parts import make_matrix, make_router

STAGE = StageConfig(epochs=1, max_steps=6, learning_rate=1e-2, capability_learning_rate=1e-3)
LORA = LoraConfig(rank=4, alpha=8.0, dropout=0.1)
SCALE = 8.0 / 4
CONFIG = TrainingConfig(
    batch_size=8, composites=4, lora=LORA, connector_stage=STAGE, all_stage=STAGE
)
CPU = torch.device("cpu")
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 50}
BASES = {
    "bert": BertConfig(**SIZES, num_attention_heads=4),
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50),
    "phi3": Phi3Config(**SIZES, num_attention_heads=4, pad_token_id=0),
    "qwen2": Qwen2Config(**SIZES, num_attention_heads=4, num_key_value_heads=2),
}


def copied(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


class Trained:
    """A router before stage 2, at its end with adapters, and after."""

    def __init__(self, folder) -> None:
        self.matrix = make_matrix(per_topic=10)
        self.router = make_router(folder)
        self.before, self.start = copied(self.router.model), self.scores(self.router)
        training, validation = split_validation(self.matrix, 0.2, seed=0)
        epochs = train_in_process(
            self.router.model, self.router.tokenizer, [training], [validation], CONFIG, ("all",)
        )
        # At the end of the last epoch adapters are still there.
        for _ in epochs:
            self.adapted, self.adapted_scores = copied(self.router.model), self.scores(self.router)

    def scores(self, router) -> torch.Tensor:
        scores = network_scores(router.model.eval(), router.tokenizer, self.matrix, CPU)
        return torch.from_numpy(scores.log_odds_QM)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    """Stage 2 in one process."""
    return Trained(tmp_path_factory.mktemp("parts"))


def test_base_weights_are_frozen_and_everything_else_trains(trained):
    own = {name.replace(".base_layer", ""): value for name, value in trained.adapted.items()}
    adapters = {name for name in own if ".lora_" in name}
    assert adapters
    moved = {
        name for name in own.keys() - adapters if not torch.equal(own[name], trained.before[name])
    }
    assert {name.split(".")[0] for name in moved} == {"encoder", "connector", "readout"}
    assert all(own[name].any() for name in adapters)


def test_merged_weights_by_hand(trained):
    merged = copied(trained.router.model)
    assert merged.keys() == trained.before.keys()
    changed = set()
    for name, start in trained.before.items():
        if not name.startswith("base."):
            continue
        layer = name.removesuffix(".weight")
        expected = start
        if f"{layer}.lora_A.default.weight" in trained.adapted:
            changed.add(layer.rsplit(".", 1)[-1])
            first, second = (trained.adapted[f"{layer}.lora_{one}.default.weight"] for one in "AB")
            expected = start + SCALE * second @ first
        assert torch.allclose(merged[name], expected, rtol=0, atol=1e-6), name
    projections = {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert changed == projections | {"gate_proj", "up_proj", "down_proj"}


def test_merged_router_scores_like_the_adapted_router(trained):
    merged = trained.scores(trained.router)
    assert (merged - trained.adapted_scores).abs().max() < 1e-4
    assert (merged - trained.start).abs().max() > 0.1


def test_saved_router_has_no_adapters(trained, tmp_path):
    plain = make_router(tmp_path / "parts")
    folders = {"plain": plain, "adapted": trained.router}
    for name, router in folders.items():
        save_router(router, tmp_path / name)

    def contents(name: str):
        files = {p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*.*")}
        tensors = {
            (str(path), key, value.dtype, value.shape)
            for path in files
            if path.suffix == ".safetensors"
            for key, value in safetensors.torch.load_file(tmp_path / name / path).items()
        }
        return files, tensors, (tmp_path / name / "base" / "config.json").read_text()

    assert contents("adapted") == contents("plain")
    loaded = load_router(tmp_path / "adapted")
    assert torch.equal(trained.scores(loaded), trained.scores(trained.router))


@pytest.mark.parametrize("kind", BASES)
def test_adapters_start_at_zero_and_are_merged_for_every_base_type(kind):
    torch.manual_seed(0)
    base: PreTrainedModel = AutoModel.from_config(BASES[kind]).eval()
    embeds = torch.randn(2, 5, 32)
    names = list(copied(base))

    def output() -> torch.Tensor:
        with torch.no_grad():
            hidden: torch.Tensor = base(inputs_embeds=embeds).last_hidden_state
        return hidden

    plain = output()
    add_adapters(base, LORA, seed=0)
    base.eval()
    assert torch.equal(output(), plain)
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.1)
    adapted = output()
    assert (adapted - plain).abs().max() > 0.05
    merge_adapters(base)
    assert (output() - adapted).abs().max() < 1e-4
    assert list(copied(base)) == names


def test_adapters_depend_only_on_the_seed(tmp_path):
    first, again = make_router(tmp_path / "a").model.base, make_router(tmp_path / "b").model.base
    add_adapters(first, LORA, seed=3)
    torch.manual_seed(17)
    drawn = torch.rand(1)
    torch.manual_seed(17)
    add_adapters(again, LORA, seed=3)
    assert torch.equal(torch.rand(1), drawn)
    found = copied(again)
    assert all(torch.equal(found[name], value) for name, value in copied(first).items())


def test_adapters_use_the_learning_rate_of_the_base(tmp_path):
    model = make_router(tmp_path).model
    adapt_for_stage(model, "connector", CONFIG)
    assert not any("lora" in name for name, _ in model.named_parameters())
    adapt_for_stage(model, "all", CONFIG)
    freeze_for_stage(model, "all")
    rate_of = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, CONFIG.all_stage, weight_decay=0.1)
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        if name.startswith("base."):
            is_adapter = ".lora_" in name
            assert rate_of.get(id(parameter)) == ((1e-2, 0.1) if is_adapter else None)
        else:
            rate = 1e-2 if name.startswith("readout.") else 1e-3
            assert rate_of[id(parameter)] == (rate, 0.1 if parameter.ndim > 1 else 0.0)


def test_low_layers_are_frozen_with_adapters_too(tmp_path):
    model = make_router(tmp_path).model
    adapt_for_stage(model, "all", CONFIG)
    freeze_for_stage(model, "all", frozen_layers=1)
    trained = {n for n, p in model.base.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("layers.1.") and ".lora_" in name for name in trained)


def test_rejects_invalid_adapter_sizes():
    values = CONFIG.model_dump(mode="json")
    for wrong in ({"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"target_modules": "attention"}):
        values["lora"] = wrong
        with pytest.raises(ConfigError, match=f"lora.{next(iter(wrong))}"):
            parse_config(TrainingConfig, values, source="job.yaml")
