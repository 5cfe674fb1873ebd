"""The scoring phase against raw vLLM: the same token ids, and no code of ours around
`LLM.generate`.

    python scripts/bench_throughput.py [--model DIR] [--rows 24] [--prompts 8] [--max-tokens 10]
    [--repeats 5]

The phase is driven as a run drives it: prompts, digests, store, worker process, scoring, records.
Raw is a vLLM of its own with the same arguments, in a process like the worker's; it gets the token
ids ready-made, in the order our engine would choose, and is timed inside that process around
`LLM.generate`. The two take turns over the same prompts, so both
prefix caches go through the same states: the first pass is cold (not counted), the others find what
the same pass left. The ratio is raw seconds / phase seconds of a pair, and its median is to be 0.95
or more. `worker` is the same prompts
given straight to our engine in its worker: what lies between it and raw is tokenizing, pipes and
reading the outputs. `cpu s` is the processor time of all processes of a side, for machines that
others use too: on a CPU its ratio says the same as the seconds' would on a quiet machine.

Data are the embedded reviews. Both engines are loaded at once and each waits while the other works:
on a GPU each gets 0.4 of the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.engines.worker_environment import environment
from opro_local.runs import bench
from opro_local.runs.driver import drive
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.store import open_store
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Prompt, Request, Solution

TARGET = 0.95
LINE = "{:<8}{:>10}{:>12}{:>12}{:>10}{:>9}{:>9}{:>11}"


class Raw:
    """A process that holds a plain vLLM and answers each line it is sent with the seconds and
    tokens of one pass.
    """

    def __init__(self, settings: EngineSettings, requests: list[Request]) -> None:
        sampling = requests[0].sampling
        assert all(request.sampling == sampling for request in requests)
        self._child = subprocess.Popen(
            [sys.executable, __file__, "--raw"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(settings),
        )
        prompts = [
            [p.text, p.system, p.prefill, p.chat] for p in (request.prompt for request in requests)
        ]
        self._say([asdict(settings), prompts, sampling.max_tokens, sampling.stop])
        self._hear()

    def once(self) -> bench.Pass:
        """One pass over all prompts."""
        self._say("go")
        return bench.Pass(*self._hear())

    @property
    def pid(self) -> int:
        return self._child.pid

    def close(self) -> None:
        self._child.stdin.close()
        self._child.wait()

    def _say(self, message: object) -> None:
        self._child.stdin.write(json.dumps(message) + "\n")
        self._child.stdin.flush()

    def _hear(self) -> list:
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("the raw vLLM ended; is there memory for two engines?")
        return json.loads(line)


def serve() -> None:
    """The raw side's process."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings, prompts, max_tokens, stop = json.loads(sys.stdin.readline())
    settings = EngineSettings(**settings)
    import torch
    import vllm
    from transformers import AutoConfig

    from opro_local.engines.tokenizer import PromptTokenizer
    from opro_local.engines.vllm_start import arguments

    config = AutoConfig.from_pretrained(settings.model, local_files_only=True)
    tokenizer = PromptTokenizer.load(settings.model, config, settings)
    ids = sorted(tokenizer.encode([Prompt(*row) for row in prompts]))
    llm = vllm.LLM(**arguments(settings, config, torch.cuda.is_available()))
    sampling = vllm.SamplingParams(max_tokens=max_tokens, temperature=0.0, stop=list(stop))
    answers.write("[]\n")
    answers.flush()
    for _ in sys.stdin:
        begun = time.perf_counter()
        outputs = llm.generate([{"prompt_token_ids": row} for row in ids], sampling, use_tqdm=False)
        seconds = time.perf_counter() - begun
        cached = sum(output.num_cached_tokens or 0 for output in outputs)
        written = sum(len(output.outputs[0].token_ids) for output in outputs)
        answers.write(json.dumps([seconds, seconds, 1, sum(map(len, ids)), cached, written]) + "\n")
        answers.flush()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(given: argparse.Namespace) -> dict[str, list[tuple[bench.Pass, float]]]:
    """The passes of each side with their processor time, the cold ones left out."""
    changes = [
        f"task.train_rows={given.rows}",
        f"scorer.max_tokens={given.max_tokens}",
        'scorer.engine="vllm"',
    ]
    config = bench.embedded(
        [*changes, *([f"scorer.model={json.dumps(given.model)}"] if given.model else [])]
    )
    ready = prompt_plan(config)
    solutions = [Solution(text) for text in bench.instructions(ready, given.prompts)]
    share = 0.4 if Path("/proc/driver/nvidia").exists() else None
    settings = replace(ready.models["scorer"].settings, gpu_memory=share)
    worker, _ = start_engine(settings, "vllm")
    passes: dict[str, list[tuple[bench.Pass, float]]] = {"phase": [], "raw": [], "worker": []}
    with tempfile.TemporaryDirectory() as folder:
        store, raw = open_store(Path(folder)), None
        try:
            requests = next(ready.problem.evaluate(solutions, "train", "asked")).requests
            raw = Raw(settings, list(requests))
            for number in range(given.repeats + 1):
                sides = ["phase", "raw"][:: 1 if number % 2 else -1] + ["worker"] * bool(number)
                for side in sides:
                    pids = [raw.pid] if side == "raw" else [worker.pid, os.getpid()]
                    before = sum(map(cpu_seconds, pids))
                    if side == "raw":
                        found = raw.once()
                    else:
                        found = ours(side, ready, solutions, requests, worker, store, number)
                    passes[side] += [(found, sum(map(cpu_seconds, pids)) - before)] * bool(number)
        finally:
            worker.close()
            store.close()
            if raw:
                raw.close()
    return passes


def ours(side, ready, solutions, requests, worker, store, number) -> bench.Pass:
    """One pass of the scoring phase, or of the worker alone."""
    timed, trajectory = bench.TimedEngine(worker), Trajectory()
    begun = time.perf_counter()
    if side == "worker":
        timed.generate(requests)
    else:
        state = SearchState(ready.problem, ready.config, trajectory)
        drive(
            state.score(Candidates(solutions, number), "train"),
            {"scorer": timed},
            trajectory,
            store,
        )
    seconds = time.perf_counter() - begun
    counts = [[c.prompt_tokens, c.cached_tokens, c.completion_tokens] for c in timed.completions]
    return bench.Pass(
        seconds, timed.seconds, len(timed.asked), *map(sum, zip(*counts, strict=True))
    )


def against(raw: list, other: list) -> tuple[list[float], list[float]]:
    """Raw over other, pair by pair: wall time, processor time."""
    pairs = list(zip(raw, other, strict=True))
    return [a[0].seconds / b[0].seconds for a, b in pairs], [a[1] / b[1] for a, b in pairs]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a model's folder or name [default: the embedded one]")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    before = os.getloadavg()
    passes = measure(given)
    print(
        LINE.format(
            "", "median s", "tok/s in", "tok/s out", "cached %", "ratio", "cpu s", "cpu ratio"
        )
    )
    for side, found in passes.items():
        figures = bench.rates([one for one, _ in found])
        rates = (f"{figures[f'tokens_{way}_per_second']:,.0f}" for way in ("in", "out"))
        wall, cpu = (f"{median(ratios):.3f}" for ratios in against(passes["raw"], found))
        spent = f"{median(seconds for _, seconds in found):.2f}"
        cached = f"{100 * figures['cached_share']:.1f}"
        print(LINE.format(side, f"{figures['seconds']:.2f}", *rates, cached, wall, spent, cpu))
    pairs, _ = against(passes["raw"], passes["phase"])
    print(f"pairs phase/raw: {' '.join(f'{ratio:.3f}' for ratio in pairs)}")
    print(
        json.dumps(
            bench.environment() | {"load_average": [before, os.getloadavg()], "asked": vars(given)}
        )
    )
    met = median(pairs) >= TARGET
    print(f"{median(pairs):.3f} of raw throughput; {TARGET} wanted: {'met' if met else 'missed'}")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--raw"] else main()
