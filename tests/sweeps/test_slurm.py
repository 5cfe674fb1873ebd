"""Groups as jobs of Slurm: what is asked for, jobs that outlive the command, and requeued ones."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

import pytest
import typer
from documented import commands
from running import ROOT
from sweeps.conftest import Ended
from sweeps.queue_stub import Queue

from opro_local.cli.main import app
from opro_local.errors import EngineError, StoreError, UsageError
from opro_local.runs.events import Interrupted
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.sweeps import slurm
from opro_local.sweeps.group import run_group
from opro_local.sweeps.journal import EndNote, JournalReader, JournalWriter
from opro_local.sweeps.plan import read_plan
from opro_local.sweeps.slurm import GroupJob, Slurm
from opro_local.sweeps.slurm_options import SlurmOptions, read_slurm_options
from opro_local.sweeps.sweep import SweepListener, run_sweep

CELLS = "[axes]\nrun.seed = {{ from = 0, to = {last} }}\n"
GROUPS = "[axes]\nscorer.tensor_parallel = [1, 2]\n"


@pytest.fixture
def queue(monkeypatch, in_process) -> Queue:
    """A queue in submitit's place, whose jobs run in this process."""
    queue = Queue()
    monkeypatch.setattr(slurm, "_submitit", lambda: queue)

    def in_this_process(work, blocked):
        run_group(work)
        return Ended()

    monkeypatch.setattr(slurm, "LocalGroup", in_this_process)
    return queue


def listener(queue: Queue, stop_after: float | None = None) -> SweepListener:
    """Lets one waiting job run whenever it is asked; stops the sweep once so many have run."""
    told: list[str] = []

    def should_stop() -> bool:
        if stop_after is not None and len(queue.results) >= stop_after:
            return True
        waiting = [number for number, state in queue.states.items() if state == "PENDING"]
        if waiting:
            queue.run(waiting[0])
        return False

    return SweepListener(notify=told.append, should_stop=should_stop)


def test_every_group_is_a_job_with_the_gpus_it_needs(tmp_path, write_sweep, queue):
    file = write_sweep(GROUPS, steps=1)
    options = read_slurm_options(["partition=night", "--reservation=x", "time=1-2:30:15"])
    plan = read_plan(file)
    records = run_sweep(plan, tmp_path / "d", Slurm(options), listener(queue))
    assert [record.state for record in records] == ["finished"] * 2
    digests = [describe(record.path).digest for record in records]
    assert digests == [run(c.config, tmp_path / "alone" / c.name).digest for c in plan.cells]
    assert queue.asked == [
        {
            "python": f"{sys.executable} -P",
            "partition": "night",
            "gpus_per_node": gpus,
            "job_name": f"opro-group-{gpus}",
            "time": 1591,
            "additional_parameters": {"requeue": True, "reservation": "x"},
        }
        for gpus in (1, 2)
    ]
    # Nothing by which a later command would take them for running.
    assert not [path.name for path in (tmp_path / "d/groups").iterdir() if ".j" in path.suffix[:2]][
        2:
    ]
    assert not list((tmp_path / "d/groups").glob("*.job.json"))


def test_jobs_go_on_after_the_command_and_the_next_one_starts_none_twice(
    tmp_path, write_sweep, queue
):
    file = write_sweep(GROUPS, steps=1)
    plan, folder = read_plan(file), tmp_path / "d"
    with pytest.raises(Interrupted):
        run_sweep(plan, folder, Slurm(SlurmOptions()), listener(queue, stop_after=1))
    assert not queue.cancelled and list(queue.jobs) == ["100", "101"]
    assert [path.name for path in folder.glob("groups/*.job.json")] == ["group-2.job.json"]
    again = listener(queue)
    records = run_sweep(plan, folder, Slurm(SlurmOptions()), again)
    assert [record.state for record in records] == ["finished"] * 2 and len(queue.jobs) == 2


def test_a_further_value_makes_a_job_beside_one_that_still_runs(tmp_path, write_sweep, queue):
    file, folder = write_sweep(CELLS.format(last=0), steps=1), tmp_path / "d"
    with pytest.raises(Interrupted):
        run_sweep(read_plan(file), folder, Slurm(SlurmOptions()), listener(queue, stop_after=0))
    # The stop was asked before anything was submitted: once more, with a job in the queue.
    execution = Slurm(SlurmOptions())
    assert not queue.jobs
    stops = iter([False])
    with pytest.raises(Interrupted):
        run_sweep(
            read_plan(file), folder, execution, SweepListener(should_stop=lambda: next(stops, True))
        )
    assert queue.states == {"100": "PENDING"}
    more = read_plan(write_sweep(CELLS.format(last=2), steps=1))
    records = run_sweep(more, folder, Slurm(SlurmOptions()), listener(queue))
    assert [record.state for record in records] == ["finished"] * 3
    names = [job._work_file.name for job in queue.jobs.values()]
    assert names == ["group-1.work.json", "group-1-next.work.json"]


def test_stopping_jobs_takes_waiting_ones_out_of_the_queue_and_asks_the_others(
    tmp_path, write_sweep, queue
):
    plan = read_plan(write_sweep(CELLS.format(last=1), steps=1))
    execution = Slurm(SlurmOptions(), stops_jobs=True)
    stops = iter([False])
    with pytest.raises(Interrupted):
        run_sweep(
            plan, tmp_path / "d", execution, SweepListener(should_stop=lambda: next(stops, True))
        )
    assert queue.cancelled == ["100"]
    assert not list((tmp_path / "d/groups").glob("*.job.json"))
    # One that began meanwhile finds that it is asked to stop.
    job = queue.jobs["100"]
    job._work_file.write_text("{}")
    job._work_file.with_name("group-1.stop").touch()
    assert job() == "" and job.checkpoint() is None


def test_a_job_that_dies_is_said_with_its_state_and_its_cells_go_on(tmp_path, write_sweep, queue):
    plan = read_plan(write_sweep(CELLS.format(last=1), steps=1))
    told: list[str] = []

    def should_stop() -> bool:
        waiting = [number for number, state in queue.states.items() if state == "PENDING"]
        if waiting == ["100"]:
            queue.states["100"] = "NODE_FAIL"
        elif waiting:
            queue.run(waiting[0])
        return False

    report = SweepListener(notify=told.append, should_stop=should_stop)
    records = run_sweep(plan, tmp_path / "d", Slurm(SlurmOptions()), report)
    assert [record.state for record in records] == ["finished"] * 2 and len(queue.jobs) == 3
    assert "its job 100 ended as NODE_FAIL" in told[0]


def test_what_sbatch_refuses_fails_the_cells_with_its_words(tmp_path, write_sweep, queue):
    queue.refusal = "sbatch: error: invalid partition\n  specified: nope"
    plan = read_plan(write_sweep(CELLS.format(last=0), steps=1))
    (record,) = run_sweep(plan, tmp_path / "d", Slurm(SlurmOptions()))
    assert record.state == "failed" and record.exit_code == EngineError.exit_code
    assert "sbatch: error: invalid partition specified: nope; correct --slurm" in record.error


def test_secrets_stand_in_a_private_file_alone_and_go_with_the_job(tmp_path, write_sweep, queue):
    plan = read_plan(write_sweep(CELLS.format(last=0), steps=1))
    # The tables are what a job gets.
    plan.cells[0].tables["scorer"]["password"] = "s3cret"
    before = os.umask(0)
    stops = iter([False])
    try:
        with pytest.raises(Interrupted):
            run_sweep(
                plan,
                tmp_path / "d",
                Slurm(SlurmOptions()),
                SweepListener(should_stop=lambda: next(stops, True)),
            )
    finally:
        os.umask(before)
    holding = [
        path
        for path in (tmp_path / "d").rglob("*")
        if path.is_file() and "s3cret" in path.read_text("utf-8", "replace")
    ]
    assert [path.name for path in holding] == ["group-1.work.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d/groups/jobs").stat().st_mode) == 0o700
    # What submitit pickles is the job: a path.
    assert "s3cret" not in repr(vars(queue.jobs["100"]))


def test_workers_limit_the_jobs_in_the_queue(queue):
    assert Slurm(SlurmOptions()).places([1, 1, 4]) == 3
    assert Slurm(SlurmOptions(), 2).places([1, 1, 4]) == 2 and Slurm(SlurmOptions()).places([]) == 1


@pytest.mark.parametrize(
    "given, minutes",
    [
        *(("90", 90), ("90:30", 91), ("2:00:00", 120), ("1-0", 1440), ("1-1:30", 1530)),
        ("2-1:00:59", 2941),
    ],
)
def test_times_are_those_of_sbatch(given, minutes):
    assert read_slurm_options([f"time={given}"]).minutes == minutes


@pytest.mark.parametrize(
    "given",
    [
        *("partition", "partition=", "=gpu", "a b=1", "time=soon", "time=0", "time=1:2:3:4"),
        *("gpus_per_node=two", "nodes=2", "ntasks-per-node=2", "cluster=aws", "max_num_timeout=-1"),
        *("comment=a\nb", "signal=USR1", "Partition=x"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_a_line(given):
    with pytest.raises(UsageError) as raised:
        read_slurm_options([given])
    assert "--slurm" in str(raised.value) and "\n" not in str(raised.value)


def test_options_reach_sbatch_as_they_are_meant():
    given = ["gres=gpu:a100:2", "setup=module load cuda", "setup=. env.sh", "--mem-per-cpu=4G"]
    options = read_slurm_options([*given, "cpus_per_task=8", "max_num_timeout=3"])
    assert options.timeouts == 3
    assert options.parameters("g", 4) == {
        "gres": "gpu:a100:2",
        "setup": ["module load cuda", ". env.sh"],
        "mem_per_cpu": "4G",
        "cpus_per_task": 8,
        "job_name": "opro-g",
        "time": 240,
        "additional_parameters": {"requeue": True},
    }
    with pytest.raises(UsageError, match="given twice"):
        read_slurm_options(["qos=a", "qos=b"])


def test_without_the_package_there_is_one_line_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(
        UsageError, match=r"submitit.*not installed; pip install 'opro-local\[slurm\]'"
    ):
        Slurm(SlurmOptions())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"job": 1}', "\0"])
def test_a_damaged_note_of_a_job_is_one_line(tmp_path, queue, text):
    (tmp_path / "g.job.json").write_text(text)
    with pytest.raises(StoreError, match=r"g\.job\.json: damaged; see with squeue"):
        Slurm(SlurmOptions()).rejoin(tmp_path)


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    assert "every node must see" in GroupJob(tmp_path / "none.work.json")()


def test_a_journal_goes_on_after_a_line_that_a_kill_cut(tmp_path):
    path = tmp_path / "j.jsonl"
    reader = JournalReader(path)
    path.write_text('{"kind": "end", "cell": "a", "state": "finished"}\n{"kind": "en')
    assert list(reader.read()) == [EndNote("a", "finished")]
    writer = JournalWriter(path)
    writer.write(EndNote("b", "finished"))
    writer.close()
    assert list(reader.read()) == [EndNote("b", "finished")]


# From here on with submitit itself, whose local executor runs jobs as processes of this machine.


@pytest.fixture
def submitit():
    return pytest.importorskip("submitit", reason="submitit is not installed (extra slurm)")


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def first_job(folder: Path, child: subprocess.Popen, requests, count: int) -> int:
    """The number of the first group's job, once so many requests were asked."""
    while child.poll() is None and len(requests()) < count:
        time.sleep(0.02)
    return int(json.loads(min(folder.glob("groups/*.job.json")).read_text())["job"])


def start(file: Path, *more: str) -> subprocess.Popen:
    options = ("--on", "slurm", "--slurm", "cluster=local", *more)
    command = (sys.executable, "-m", "opro_local", "sweep", str(file))
    # To a file: a pipe would have no end while jobs that were left to themselves hold it.
    with file.with_name("errors.log").open("w") as errors:
        return subprocess.Popen(
            [*command, "--run", str(file.parent / "d"), *options],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def said(file: Path, child: subprocess.Popen, seconds: float) -> str:
    """What a command said on stderr, once it has ended."""
    child.wait(timeout=seconds)
    return file.with_name("errors.log").read_text("utf-8")


def digests(folder: Path) -> dict[str, str]:
    cells = json.loads((folder / "sweep.json").read_text())["cells"]
    return {cell["name"]: cell["digest"] for cell in cells if cell["state"] == "finished"}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGKILL, signal.SIGTERM])
def test_eight_cells_with_a_job_that_is_signalled_come_to_the_runs_alone(
    tmp_path, write_sweep, requests, submitit, in_process, number
):
    """SIGUSR2 is Slurm's word before a preemption: the job is requeued. SIGKILL is a node that is
    lost, SIGTERM what Slurm sends beside SIGUSR2: nothing.
    """
    file = write_sweep(CELLS.format(last=7), steps=2, seconds=0.001)
    plan = read_plan(file)
    child = start(file, "--workers", "2")
    controller = first_job(tmp_path / "d", child, requests, 60)
    for task in children(controller):
        for pid in children(task) if number == signal.SIGTERM else []:
            os.kill(pid, number)
        os.kill(task, number)
    errors = said(file, child, 600)
    assert child.returncode == 0, errors
    alone = run_sweep(plan, tmp_path / "alone", in_process())
    assert digests(tmp_path / "d") == {r.cell.name: describe(r.path).digest for r in alone}
    logs = "".join(path.read_text() for path in (tmp_path / "d/groups/jobs").glob("*log*"))
    assert ("Requeued job" in logs) == (number == signal.SIGUSR2)
    assert ("go on in halves" in errors) == (number == signal.SIGKILL)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stops", [False, True])
def test_a_stopped_command_leaves_its_jobs_or_ends_them(
    tmp_path, write_sweep, requests, submitit, stops
):
    file = write_sweep(CELLS.format(last=1), steps=3, seconds=0.02)
    child = start(file, *(["--stop-jobs"] if stops else []))
    controller = first_job(tmp_path / "d", child, requests, 30)
    child.send_signal(signal.SIGINT)
    errors = said(file, child, 200)
    assert child.returncode == 130 and "Traceback" not in errors
    assert ("its jobs go on in the queue" in errors) != stops
    assert slurm._is_controller(str(controller)) != stops
    asked = len(requests())
    again = start(file)
    errors = said(file, again, 400)
    assert again.returncode == 0 and ("still runs" in errors) != stops
    assert len(digests(tmp_path / "d")) == 2
    # No request was asked twice but those of the call in flight.
    assert asked and len(requests()) - len(set(requests())) <= (60 if stops else 0)


def test_the_commands_of_the_page_are_understood():
    """Of docs/slurm.md; what they do needs a cluster."""
    sweep = typer.main.get_command(app).commands["sweep"]
    lines = commands((ROOT / "docs" / "slurm.md").read_text("utf-8").replace("\\\n", " "))
    assert lines
    for words in lines:
        context = sweep.make_context("sweep", list(takewhile(lambda word: word != "#", words[1:])))
        assert context.params["on"] == "slurm"
        read_slurm_options(context.params["slurm"])
