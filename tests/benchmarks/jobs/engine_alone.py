"""The engine without a pipeline around it: all prompts in one call of vLLM's own class.

``python -m tests.benchmarks.jobs.engine_alone JOB.json``: model, engine_kwargs, prompts and
max_new_tokens. Prints one JSON object. The environment is that of the pipeline's engines.
"""

import argparse
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Generate and print how long it took."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.jobs.engine_alone", description=__doc__
    )
    parser.add_argument("job", type=Path)
    job = json.loads(parser.parse_args().job.read_text())
    from vllm import LLM, SamplingParams

    engine = LLM(job["model"], **job["engine_kwargs"])
    chats = [[{"role": "user", "content": prompt}] for prompt in job["prompts"]]
    sampling = SamplingParams(temperature=0.0, max_tokens=job["max_new_tokens"])
    started_s = time.perf_counter()
    outputs = engine.chat(chats, sampling, use_tqdm=False)
    generating_s = time.perf_counter() - started_s
    found = {
        "generating_s": generating_s,
        "prompt_tokens": sum(len(output.prompt_token_ids) for output in outputs),
        "completion_tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
