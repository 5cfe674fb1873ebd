"""What a very long run costs besides the engine: time per step at its start and at its end, memory,
files, replay, `list` and `show`.

    python scripts/bench_long.py [--steps 5000] [--candidates 8] [--rows 20] [--kind opro ...]

Each kind of search runs once with a scripted engine, in a process of its own. All times are CPU
time, because other work on the machine is no part of them; a step's is without the engine's calls:
prompts, digests, the store, the rule, proposals. What a commit waits for the disk comes on top, so
that wall time is given as well.
`first` is the median of steps 10 to 109, `last` and `p95` are over the last tenth, `wall` is the
median of the same steps by the clock. `RSS +` is
resident memory after the search less that at step 100, `peak +` the most there was, the result
included. `file` is the store's size and `result` that of result.json, in MB. `replay` gives the
same command again with the result taken out of the store, `show` what `show --json` takes of the
unfinished and of the finished run. At the end `list` of `--runs` copies of a small finished run.

Wanted for 5,000 steps of 8: p95 under 20 ms, RSS growth under 50 MB, result under 100 MB, replay
under 15 s, `show` under 1 s, `list` of 1,000 runs under 2 s.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.runs.driver import EngineCall, answer_need
from opro_local.runs.events import Event, Listener, TrajectoryGrowth
from opro_local.runs.reading import describe, overview
from opro_local.runs.run import run, run_steps
from opro_local.runs.store import open_store
from opro_local.types import Request

KINDS = {
    "opro": {"mode": "opro"},
    "mixed": {"mode": "mixed"},
    "texts": {"mode": "mixed", "demonstrations": 0, "drafts": 1},
}
SENTENCE = (
    "carefully briefly always read think about the text its label please then weigh tone mood "
    "every single word twice before you settle on one final answer as an expert would do when "
    "nothing else matters but being right and short in plain language"
)
WORDS = SENTENCE.split()
GOOD = {"carefully", "think", "weigh", "expert", "right"}
SETTLED = 100  # steps after which memory is first measured
LINE = "{:<8}" + 11 * "{:>10}"
HEADINGS = (
    "kind",
    "first ms",
    "last ms",
    "p95 ms",
    "wall ms",
    "RSS + MB",
    "peak + MB",
    "file MB",
    "result MB",
) + ("replay s", "show s", "result s")


def answer(request: Request) -> str:
    """As optimizer twelve words drawn by the seed; as scorer a label, right the more often the more
    good words the instruction has.
    """
    seed = request.sampling.seed
    if seed is not None:
        drawn = np.random.default_rng(seed).integers(len(WORDS), size=12)
        return " ".join(["Answer", *(WORDS[place] for place in drawn)]) + "?"
    text = request.prompt.text
    truth = "positive" if "good" in text else "negative"
    share = 50 + 8 * len(GOOD & set(text.split()))
    if zlib.crc32(text.encode()) % 100 < share:
        return truth
    return "negative" if truth == "positive" else "positive"


def write_rows(path: Path, rows: int) -> Path:
    """Reviews of which the word "good" tells the label."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(rows):
            word, label = (("good", "positive"), ("poor", "negative"))[number % 2]
            writer.writerow([f"Number {number} was {word}", label])
    return path


def config_of(kind: str, data: Path, rows: int, steps: int, candidates: int) -> Config:
    """The config of one kind of run."""
    engine = {"engine": "scripted", "script": f"{__file__}:answer", "model": "none"}
    return reading.build(
        {
            "task": {
                "data": str(data),
                "input": "text",
                "target": "label",
                "rule": "labels",
                "train_rows": rows,
                "validation_rows": 10,
                "test_rows": 10,
            },
            "scorer": {**engine, "max_tokens": 8},
            "optimizer": engine,
            "search": {
                **KINDS[kind],
                "steps": steps,
                "candidates": candidates,
                "seeds": ["What is it?"],
            },
            "run": {"seed": 1, "cache": False},
        }
    )


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def clocks() -> np.ndarray:
    """CPU and wall seconds."""
    return np.array([time.process_time(), time.perf_counter()])


class Meter:
    """Takes the time and memory of each step from the run's events.

    Attributes:
        engine: CPU and wall seconds spent in the engine since the step began.
        steps: CPU and wall seconds of each step without them.
        settled, ended: resident memory in MB at step `SETTLED` and at the last step.
    """

    def __init__(self) -> None:
        self.engine = np.zeros(2)
        self.steps: list[np.ndarray] = []
        self.settled = self.ended = 0.0
        self._step, self._begun = 0, clocks()

    def report(self, event: Event) -> None:
        """Close a step when solutions of the next one are scored."""
        if not isinstance(event, TrajectoryGrowth):
            return
        train = [entry for entry in event.entries if entry.split == "train"]
        if not train or train[0].step == self._step:
            return
        now = clocks()
        self.steps.append(now - self._begun - self.engine)
        self._step, self._begun, self.engine = train[0].step, now, np.zeros(2)
        self.ended = resident()
        if self._step == SETTLED:
            self.settled = self.ended


def measured(config: Config, folder: Path) -> dict[str, float]:
    """Make one run and say what it cost."""
    meter = Meter()
    steps = run_steps(config, folder, Listener(meter.report))
    try:
        need = next(steps)
        while True:
            begun = clocks()
            result = answer_need(need)
            if isinstance(need, EngineCall):
                meter.engine += clocks() - begun
            need = steps.send(result)
    except StopIteration:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    own, by_the_clock = 1e3 * np.array(meter.steps).T
    tenth = own[-max(1, len(own) // 10) :]
    return {
        "steps": len(own),
        "first ms": float(np.median(own[9:109])),
        "last ms": float(np.median(tenth)),
        "p95 ms": float(np.quantile(tenth, 0.95)),
        "wall ms": float(np.median(by_the_clock[-len(tenth) :])),
        "RSS + MB": meter.ended - meter.settled,
        "peak + MB": peak * 1.024 - meter.settled,
        "file MB": (folder / "run.sqlite").stat().st_size / 1e6,
        "result MB": (folder / "result.json").stat().st_size / 1e6,
    }


def replayed(config: Config, folder: Path) -> dict[str, float]:
    """The same command again where the result is not there yet, and looking at the run."""
    store = open_store(folder)
    before = store.get("result")
    store.put(state="interrupted", result=None)
    store.close()
    begun = time.process_time()
    describe(folder)
    looked = time.process_time()
    after = run(config, folder)
    ended = time.process_time()
    describe(folder)
    shown = time.process_time()
    if after.digest != before["digest"]:
        raise SystemExit("a replay came to another result")
    return {"replay s": ended - looked, "show s": looked - begun, "result s": shown - ended}


def listed(folder: Path, data: Path, rows: int, runs: int) -> float:
    """Seconds that `list` of so many runs takes."""
    first = folder / "run-0"
    run(config_of("mixed", data, rows, 2, 4), first)
    for number in range(1, runs):
        shutil.copytree(first, folder / f"run-{number}")
    begun = time.process_time()
    count = len(overview(folder))
    taken = time.process_time() - begun
    if count != runs:
        raise SystemExit(f"list shows {count} of {runs} runs")
    return taken


def in_process(arguments: argparse.Namespace, kind: str, action: str, folder: Path) -> dict:
    """One action in a process of its own."""
    counts = (str(arguments.steps), str(arguments.candidates), str(arguments.rows))
    command = [sys.executable, __file__, "--one", action, kind, str(folder), *counts]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def one(action: str, kind: str, place: str, steps: str, candidates: str, rows: str) -> None:
    """What the child process does; prints its figures as JSON."""
    folder = Path(place)
    data = write_rows(folder / "reviews.csv", int(rows) + 20)
    config = config_of(kind, data, int(rows), int(steps), int(candidates))
    act = {"run": measured, "replay": replayed}[action]
    print(json.dumps(act(config, folder / kind)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--kind", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--runs", type=int, default=1000, help="for list; 0 leaves it out")
    arguments = parser.parse_args()
    print(LINE.format(*HEADINGS), flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for kind in arguments.kind:
            figures = in_process(arguments, kind, "run", folder)
            figures |= in_process(arguments, kind, "replay", folder)
            numbers = [f"{figures[name]:.2f}" for name in HEADINGS[1:]]
            print(LINE.format(kind, *numbers), flush=True)
        if arguments.runs:
            data = write_rows(folder / "reviews.csv", arguments.rows + 20)
            taken = listed(folder / "many", data, arguments.rows, arguments.runs)
            print(f"list of {arguments.runs} runs: {taken:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        main()
