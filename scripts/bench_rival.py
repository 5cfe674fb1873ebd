"""Our search against promptolution's OPRO on the same model, rows, tokens and engine settings.

    python scripts/bench_rival.py --rival-python PYTHON --rival-script bench_promptolution.py
        [--model DIR] [--data CSV] [--rows 24] [--steps 2] [--candidates 4] [--max-tokens 32]
        [--no-default] [--set KEY=VALUE ...]

PYTHON is an environment of its own with promptolution 2.3.0 beside the same vLLM (`pip install
--no-deps promptolution==2.3.0`, then pandas, scikit-learn, scipy, openai and tqdm); the rival's
script takes --model, --data, --test, --batch-size, --steps, --candidates, --max-tokens,
--max-model-len, --temperature, --llm-kwargs, --template and --out, and writes the seconds without
loading, the engine calls and the prompts. Three lines: ours, the rival tuned (batch size 4096) and
as a new user gets it (batch size 1). Proposals and answers have the same token limit on both sides.
The rival has one temperature for both roles and keeps its own, 0.1, because at 0 it would propose
the same thing again and again; we propose at 1 and score at 0. A search scores only solutions that
are new, so pairs differ: compare seconds per 100 pairs, and calls.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opro_local.engines.start import start_engine
from opro_local.engines.worker_environment import environment
from opro_local.runs import bench
from opro_local.runs.driver import drive
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.store import open_store
from opro_local.search.trajectory import Trajectory

LINE = "{:<20}{:>9}{:>8}{:>9}{:>9}{:>8}{:>15}{:>10}"
# What the rival gives its vLLM itself.
ITS_OWN = ("model", "max_model_len", "gpu_memory_utilization", "seed", "structured_outputs_config")
PLAIN = """
import json, sys
import torch
from transformers import AutoConfig
from opro_local.engines.vllm_start import arguments
from opro_local.engines.settings import EngineSettings
settings = EngineSettings(**json.loads(sys.argv[1]))
print(json.dumps(arguments(settings, AutoConfig.from_pretrained(settings.model), torch.cuda.is_available())))
"""


def ours(ready: Plan, scratch: Path) -> dict:
    """The whole search with a store, without loading the model."""
    engine, _ = start_engine(ready.models["scorer"].settings, "vllm")
    store, trajectory, timed = open_store(scratch / "run"), Trajectory(), bench.TimedEngine(engine)
    try:
        begun = time.perf_counter()
        drive(ready.search(trajectory), {"optimizer": timed, "scorer": timed}, trajectory, store)
        seconds = time.perf_counter() - begun
    finally:
        engine.close()
        store.close()
    sizes = [len(requests) for requests in timed.asked]
    pairs = sum(entry.score.n for entry in trajectory.entries)
    return {
        "calls": len(sizes),
        "single": sizes.count(1),
        "prompts": sum(sizes),
        "pairs": pairs,
    } | {
        "seconds": seconds,
        "host": seconds - timed.seconds,
    }


def rival(given: argparse.Namespace, ready: Plan, scratch: Path, batch_size: int) -> dict:
    """The rival's search, as its script tells it."""
    settings = ready.models["scorer"].settings
    plain = json.dumps(
        {"model": settings.model, "kind": "vllm", "max_model_len": given.max_model_len}
    )
    told = subprocess.run(
        [sys.executable, "-c", PLAIN, plain], stdout=subprocess.PIPE, check=True
    ).stdout
    ours_too = json.loads(told.decode().strip().splitlines()[-1])
    # Without max_num_seqs the rival takes a batch size of 1, and that is how a new user meets it.
    left_out = ITS_OWN if batch_size else (*ITS_OWN, "max_num_seqs")
    kwargs = {name: value for name, value in ours_too.items() if name not in left_out}
    out = scratch / f"rival-{batch_size}.json"
    wanted = {
        **{"model": settings.model, "data": scratch / "rows.csv", "test": scratch / "few.csv"},
        **{"batch-size": batch_size, "steps": given.steps, "candidates": given.candidates},
        **{"max-tokens": given.max_tokens, "max-model-len": given.max_model_len},
        **{"llm-kwargs": json.dumps(kwargs), "out": out, "template": "td"},
    }
    command = [
        given.rival_python,
        given.rival_script,
        *(f"--{name}={value}" for name, value in wanted.items()),
    ]
    with (scratch / "rival.log").open("w+") as log:
        if subprocess.run(command, env=environment(settings), stdout=log, stderr=log).returncode:
            log.seek(0)
            raise SystemExit(f"the rival failed:\n{log.read()[-3000:]}")
    found = json.loads(out.read_text())
    return {
        **{
            "calls": found["generate_calls"],
            "single": found["single_prompt_calls"],
            "prompts": found["prompts_sent"],
        },
        **{
            "pairs": found["distinct_scored"] * given.rows,
            "seconds": found["optimize_s"],
            "host": found["host_s"],
        },
    }


def line(name: str, found: dict, first: dict) -> str:
    """A line of the table."""
    each, base = (100 * one["seconds"] / one["pairs"] for one in (found, first))
    return LINE.format(
        *(
            name,
            f"{found['seconds']:.1f}",
            found["calls"],
            found["single"],
            found["prompts"],
            found["pairs"],
        ),
        *(f"{each:.2f}", f"{each / base:.2f}"),
    )


def plan_and_rows(given: argparse.Namespace, scratch: Path) -> Plan:
    """Our plan, and its train rows as the rival reads them."""
    changes = [
        f"task.train_rows={given.rows}",
        f"search.steps={given.steps}",
        f"search.candidates={given.candidates}",
    ]
    changes += [f"{role}.max_tokens={given.max_tokens}" for role in ("scorer", "optimizer")]
    changes += [
        f"scorer.max_model_len={given.max_model_len}",
        "task.validation_rows=0",
        "task.test_rows=0",
    ]
    changes += [f"scorer.model={json.dumps(given.model)}"] if given.model else []
    changes += [f"task.train={json.dumps(given.data)}"] if given.data else []
    ready = prompt_plan(bench.embedded([*changes, *given.set]))
    rows = [[row.input, row.target] for row in ready.problem.rows["train"]]
    for name, part in (("rows", rows), ("few", rows[:2])):
        with (scratch / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["x", "y"], *part])
    return ready


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival-python", required=True)
    parser.add_argument("--rival-script", required=True)
    parser.add_argument("--model", help="a model's folder or name [default: the embedded one]")
    parser.add_argument(
        "--data", help="a CSV with text and label [default: the embedded train rows, 40]"
    )
    for name, value in (
        ("rows", 24),
        ("steps", 2),
        ("candidates", 4),
        ("max-tokens", 32),
        ("max-model-len", 2048),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument(
        "--no-default", action="store_true", help="leave the rival's slow default out"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of ours"
    )
    given = parser.parse_args()
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        ready = plan_and_rows(given, scratch)
        print(
            LINE.format(
                "", "seconds", "calls", "single", "prompts", "pairs", "s / 100 pairs", "ours = 1"
            )
        )
        first = ours(ready, scratch)
        print(line("opro-local", first, first), flush=True)
        for name, size in (("rival, tuned", 4096), ("rival, default", 0))[
            : 1 if given.no_default else 2
        ]:
            print(line(name, rival(given, ready, scratch, size), first), flush=True)
    print(
        json.dumps(
            bench.environment() | {"load_average": [before, os.getloadavg()], "asked": vars(given)}
        )
    )


if __name__ == "__main__":
    main()
