"""The engine without a pipeline around it: all prompts in one call of vLLM's own class."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GenerationFigures:
    """One call of the engine.

    Attributes:
        generating_s: time of the call, without the engine's start.
        prompt_tokens: tokens of all prompts.
        completion_tokens: tokens of all answers.
    """

    generating_s: float
    prompt_tokens: int
    completion_tokens: int


def generate_alone(
    model: str, engine_kwargs: Mapping[str, Any], prompts: Sequence[str], max_new_tokens: int
) -> GenerationFigures:
    """Start an engine in this process, whose environment is that of the pipeline's engines.

    Args:
        model: directory of the model.
        engine_kwargs: options of vLLM's engine.
        prompts: one user message each.
        max_new_tokens: largest number of tokens of an answer.
    """
    from vllm import LLM, SamplingParams

    engine = LLM(model, **engine_kwargs)
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    sampling = SamplingParams(temperature=0.0, max_tokens=max_new_tokens)
    started_s = time.perf_counter()
    outputs = engine.chat(chats, sampling, use_tqdm=False)
    generating_s = time.perf_counter() - started_s
    return GenerationFigures(
        generating_s,
        prompt_tokens=sum(len(output.prompt_token_ids) for output in outputs),
        completion_tokens=sum(len(output.outputs[0].token_ids) for output in outputs),
    )
