"""The reference's shape against ours, on one engine: a prompt at a time, a candidate after another,
or one batch.

    python scripts/bench_reference_shape.py [--model DIR] [--rows 16] [--prompts 4] [--max-tokens
    32] [--repeats 2]

google-deepmind/opro scores each candidate over the rows with one request at a time. Here our
engine, in its worker, is asked exactly that way, and then with the same prompts in one call. Same
model, tokens, cache settings and process; only the shape of the calls differs. Both sides take
turns after a first batch that is not counted, so both find their prompts in the prefix cache as far
as it reaches, which favours the reference's shape. The ratio is seconds one by one / seconds in one
batch of a pair; 6 or more is wanted on a CPU.

On a GPU this is to be expected, not measured here: decoding one sequence is bound by reading the
weights, and hundreds of sequences read them once together. With 100 or more prompts of 100 or more
new tokens we expect 30 to 100 times; give --rows 40 --prompts 8 --max-tokens 128 there (320
prompts).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from statistics import median

from opro_local.engines.start import start_engine
from opro_local.runs import bench
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.types import Completion, Request, Solution

WANTED = 6.0
LINE = "{:<16}{:>7}{:>12}{:>12}{:>12}{:>10}"


def one_by_one(engine, requests: list[Request]) -> tuple[float, list[Completion]]:
    """Seconds and answers, a request at a time."""
    begun = time.perf_counter()
    found = [completion for request in requests for completion in engine.generate([request])]
    return time.perf_counter() - begun, found


def in_one_batch(engine, requests: list[Request]) -> tuple[float, list[Completion]]:
    """Seconds and answers, all requests in one call."""
    begun = time.perf_counter()
    found = engine.generate(requests)
    return time.perf_counter() - begun, found


def row(name: str, calls: int, passes: list[tuple[float, list[Completion]]]) -> str:
    """A line of the table."""
    seconds = median(one[0] for one in passes)
    found = passes[0][1]
    read, cached = sum(c.prompt_tokens for c in found), sum(c.cached_tokens for c in found)
    written = sum(c.completion_tokens for c in found)
    return LINE.format(
        *(name, calls, f"{seconds:.2f}", f"{read / seconds:,.0f}", f"{written / seconds:,.1f}"),
        f"{100 * cached / read:.1f}",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model's folder or name [default: the embedded one]")
    parser.add_argument("--engine", default="vllm")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--position", default="Q_begin")
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    before = os.getloadavg()
    changes = [f"task.train_rows={given.rows}", f"scorer.max_tokens={given.max_tokens}"]
    changes += [f"task.position={json.dumps(given.position)}"]
    config = bench.embedded(
        [*changes, *([f"scorer.model={json.dumps(given.model)}"] if given.model else [])]
    )
    ready = prompt_plan(config)
    solutions = [Solution(text) for text in bench.instructions(ready, given.prompts)]
    requests = list(next(ready.problem.evaluate(solutions, "train", "asked")).requests)
    engine, _ = start_engine(ready.models["scorer"].settings, given.engine)
    singles, batches = [], []
    try:
        in_one_batch(engine, requests)
        for _ in range(given.repeats):
            singles.append(one_by_one(engine, requests))
            batches.append(in_one_batch(engine, requests))
    finally:
        engine.close()
    equal = sum(a.text == b.text for a, b in zip(singles[0][1], batches[0][1], strict=True))
    print(LINE.format("", "calls", "median s", "tok/s in", "tok/s out", "cached %"))
    print(row("one by one", len(requests), singles))
    print(row("one batch", 1, batches))
    ratios = [single[0] / batch[0] for single, batch in zip(singles, batches, strict=True)]
    print(
        f"same answers: {equal} of {len(requests)}; pairs: "
        f"{' '.join(f'{ratio:.2f}' for ratio in ratios)}"
    )
    print(
        json.dumps(
            bench.environment() | {"load_average": [before, os.getloadavg()], "asked": vars(given)}
        )
    )
    met = "met" if median(ratios) >= WANTED else "missed"
    print(f"one batch is {median(ratios):.1f} times faster; {WANTED:g} wanted on a CPU: {met}")


if __name__ == "__main__":
    main()
