"""The times of a sweep: planning, lockstep, groups side by side, and what one run's own cost is.

    python scripts/bench_sweep.py [plan] [lockstep] [workers] [model] [ray] [--cells 8] [--steps 40]
        [--call-seconds 0.05]

`plan`: a thousand cells planned and listed by `opro-local sweep --dry-run --no-calibration`; wanted
under 5 s.
`lockstep`: scripted cells whose engine takes a fixed time for each call, together and one after
another; wanted at most 1/6 for 8 cells.
`workers`: two groups whose engine computes, on two workers held to a core each, against one after
another; wanted at most 0.6. It needs two cores that nobody else uses: the load is printed.
`model`: 8 seeds of the embedded model on vLLM, without worked examples, by `opro-local sweep`:
together and one after another, each on a model that is loaded once; wanted at most half. It takes
some ten minutes on two cores, and is run only where it is named.
`ray`: twice as many cells, each waiting for a fixed time at each call and none in lockstep, on one
worker of a Ray cluster of this machine and on four; wanted at least 3 times as fast. Only where it
is named, for it needs the extra `ray`.

Times of `run_many` with the real model are bench_lockstep.py's, those of one run bench_host.py's.
"""

from __future__ import annotations

import argparse
import csv
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opro_local.sweeps.local import Local
from opro_local.sweeps.plan import SweepPlan, read_plan
from opro_local.sweeps.records import read_sweep
from opro_local.sweeps.sweep import run_sweep

ROOT = Path(__file__).resolve().parent.parent
# The engine asks a script for one request at a time: a call is known by the frame of `generate`.
SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from scripted_model import answer as plain

LAST = [None]

def waits(request):
    frame = sys._getframe(1)
    while frame.f_code.co_name != "generate":
        frame = frame.f_back
    if frame is not LAST[0]:
        time.sleep({seconds})
    LAST[0] = frame
    return plain(request)

def computes(request):
    end = time.thread_time() + {seconds} / 25
    while time.thread_time() < end:
        pass
    return plain(request)

def computes_too(request):
    return computes(request)
"""


def write(folder: Path, given: argparse.Namespace, axes: str, scripts: str) -> SweepPlan:
    """A sweep over 60 made rows, with one axis more that names the engines."""
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["text", "label"])
        for number in range(30):
            rows.writerow([f"Number {number} was good", "positive"])
            rows.writerow([f"Number {number} was poor", "negative"])
    script = SCRIPT.format(tests=str(ROOT / "tests"), seconds=given.call_seconds)
    (folder / "model.py").write_text(script, "utf-8")
    (folder / "sweep.toml").write_text(
        "[base.task]\n"
        'data = "rows.csv"\ninput = "text"\ntarget = "label"\n'
        '[base.scorer]\nengine = "scripted"\n[base.optimizer]\nengine = "scripted"\n'
        f'[base.search]\nseeds = ["What is it?"]\nsteps = {given.steps}\ncandidates = 2\n'
        'metaprompt = "continuation"\n'
        f"[axes]\n{axes}\n[[zip]]\n"
        f'"scorer.script" = [{scripts}]\n"optimizer.script" = [{scripts}]\n',
        "utf-8",
    )
    return read_plan(folder / "sweep.toml")


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def plan(given: argparse.Namespace, folder: Path) -> None:
    """A thousand cells."""
    axes = (
        '"run.seed" = { from = 0, to = 249 }\n"search.order" = ["ascending", "random"]\n'
        '"search.history" = [5, 10]'
    )
    write(folder, given, axes, '"model.py:waits"')
    command = [sys.executable, "-m", "opro_local", "sweep", str(folder / "sweep.toml")]
    command += ["--run", str(folder / "run"), "--dry-run", "--no-calibration"]
    before = os.times()
    seconds = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    used = os.times()
    own = used.children_user + used.children_system
    own -= before.children_user + before.children_system
    print(f"plan: 1000 cells listed in {seconds:.1f} s, {own:.1f} s of processor; wanted under 5")


def lockstep(given: argparse.Namespace, folder: Path) -> None:
    """Cells together, and one after another."""
    swept = write(
        folder, given, f'"run.seed" = {{ from = 1, to = {given.cells} }}', '"model.py:waits"'
    )
    together = timed(lambda: run_sweep(swept, folder / "together", Local(), at_once=given.cells))
    alone = timed(lambda: run_sweep(swept, folder / "alone", Local(), at_once=1))
    print(
        f"lockstep: {given.cells} cells at {1000 * given.call_seconds:.0f} ms a call: together "
        f"{together:.1f} s, one after another {alone:.1f} s, {together / alone:.2f} of the time; "
        "wanted at most 0.17"
    )


def workers(given: argparse.Namespace, folder: Path) -> None:
    """Two groups on one worker and on two."""
    scripts = '"model.py:computes", "model.py:computes_too"'
    swept = write(folder, given, '"run.seed" = [1, 2]', scripts)
    one = timed(lambda: run_sweep(swept, folder / "one", Local(1)))
    two = timed(lambda: run_sweep(swept, folder / "two", Local(2)))
    print(
        f"workers: two groups on one {one:.1f} s, on two {two:.1f} s, {two / one:.2f} of the time; "
        "wanted at most 0.6"
    )


MODEL = """
base = "demo"
[axes]
run.seed = {{ from = 1, to = {cells} }}
[[zip]]
task.train = ["{reviews}_train.csv"]
task.validation = ["{reviews}_validation.csv"]
task.test = ["{reviews}_test.csv"]
task.train_rows = [{rows}]
task.validation_rows = [0]
task.test_rows = [0]
search.steps = [2]
search.candidates = [4]
search.demonstrations = [0]
scorer.engine = ["vllm"]
run.cache = [false]
"""


def model(given: argparse.Namespace, folder: Path) -> None:
    """Cells of the embedded model, together and one after another."""
    reviews = ROOT / "opro_local" / "data" / "reviews"
    text = MODEL.format(cells=given.cells, reviews=reviews, rows=given.rows)
    (folder / "sweep.toml").write_text(text, "utf-8")

    def sweep(at_once: int, *options: str) -> None:
        command = [sys.executable, "-m", "opro_local", "sweep", str(folder / "sweep.toml")]
        command += ["--run", str(folder / f"{at_once}"), "--at-once", str(at_once), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    # Python compiles PyTorch and vLLM for its fresh folder of byte code in the first of them.
    sweep(1, "--dry-run")
    together, alone = timed(lambda: sweep(given.cells)), timed(lambda: sweep(1))
    cells = [read_sweep(folder / f"{at_once}").cells for at_once in (given.cells, 1)]
    equal = sum(a["digest"] == b["digest"] for a, b in zip(*cells, strict=True))
    spent = [sum(cell["seconds"] for cell in own) for own in cells]
    print(
        f"model: {given.cells} cells together {together:.1f} s, one after another {alone:.1f} s, "
        f"{together / alone:.2f} of the time; wanted at most 0.5; in the engine {spent[0]:.1f} and "
        f"{spent[1]:.1f} s; {equal} digests are equal"
    )


def ray(given: argparse.Namespace, folder: Path) -> None:
    """Cells on one worker of a Ray cluster and on four."""
    from opro_local.sweeps.ray import RayCluster

    axes = f'"run.seed" = {{ from = 1, to = {2 * given.cells} }}'
    swept = write(folder, given, axes, '"model.py:waits"')
    seconds = []
    for workers in (1, 4):
        place = RayCluster("", workers)
        run = functools.partial(run_sweep, swept, folder / f"on-{workers}", place, at_once=1)
        seconds.append(timed(run))
        place.close()
    one, four = seconds
    print(
        f"ray: {2 * given.cells} cells at {1000 * given.call_seconds:.0f} ms a call: on one worker "
        f"{one:.1f} s, on four {four:.1f} s, {one / four:.2f} times as fast; wanted at least 3"
    )


def main() -> None:
    """Measure with byte code of this run's own."""
    with tempfile.TemporaryDirectory() as compiled:
        # As where the package is installed: a checkout may be told to keep no byte code.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        measure()


def measure() -> None:
    """Print a line for each part."""
    parts = {"plan": plan, "lockstep": lockstep, "workers": workers, "model": model, "ray": ray}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rows", type=int, default=24, help="train rows of `model`")
    parser.add_argument("--call-seconds", type=float, default=0.05)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried = argparse.Namespace(steps=1, call_seconds=0)
        run_sweep(write(Path(folder), tried, "", '"model.py:waits"'), Path(folder) / "run", Local())
    for name in given.parts or ("plan", "lockstep", "workers"):
        with tempfile.TemporaryDirectory() as folder:
            before = os.getloadavg()[0]
            parts[name](given, Path(folder))
            print(f"  load average {before:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
