"""Groups on a Ray cluster: where they are placed, what is lost, and which nodes are refused."""

from __future__ import annotations

import json
import os
import signal
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
from sweeps.ray_stub import ActorDiedError, ActorUnavailableError, Ray, RayError

from opro_local.cli.main import app
from opro_local.errors import EngineError, UsageError
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.sweeps import ray as ray_module
from opro_local.sweeps.group import GroupWork, run_group
from opro_local.sweeps.plan import read_plan
from opro_local.sweeps.ray import GroupActor, RayCluster
from opro_local.sweeps.sweep import SweepListener, run_sweep

CELLS = "[axes]\nrun.seed = {{ from = 0, to = {last} }}\n"
GROUPS = "[axes]\nscorer.tensor_parallel = [1, 2]\n"


@pytest.fixture
def ray(monkeypatch, in_process) -> Ray:
    """A cluster in Ray's place, whose groups run in this process."""
    stub = Ray()
    monkeypatch.setattr(ray_module, "_ray", lambda: stub)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    monkeypatch.setenv("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    monkeypatch.setenv("RAY_worker_niceness", "0")

    def in_this_process(work):
        run_group(work)
        return Ended()

    monkeypatch.setattr(ray_module, "LocalGroup", in_this_process)
    return stub


def work(tmp_path: Path, gpus: int = 1) -> GroupWork:
    return GroupWork("g", (), 16, tmp_path / "groups/g.jsonl", gpus)


def test_every_group_is_an_actor_with_the_gpus_it_needs(tmp_path, write_sweep, ray, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_GUARD", "node")
    ray.gpus = {"10.0.0.1": 0, "10.0.0.2": 4}
    plan = read_plan(write_sweep(GROUPS, steps=1))
    records = run_sweep(plan, tmp_path / "d", RayCluster("10.0.0.1:6379"))
    digests = [describe(record.path).digest for record in records]
    assert digests == [run(c.config, tmp_path / "alone" / c.name).digest for c in plan.cells]
    options = [options for options, _ in ray.started]
    assert options == [
        {"num_cpus": 1, "num_gpus": n, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        for n in (1, 2)
    ]
    assert ray.init_options["address"] == "10.0.0.1:6379"
    # What an actor is sent: the path of its work, and what the group needs of the environment.
    for number, (_, (path, environment)) in enumerate(ray.started, 1):
        assert path == str((tmp_path / f"d/groups/group-{number}.work.json").absolute())
        assert environment["OPRO_LOCAL_GUARD"] == "node"
        assert all(name.startswith(ray_module.PASSED) for name in environment)
    assert not list((tmp_path / "d/groups").glob("*.work.json"))


def test_a_lost_actor_is_started_again_and_that_is_said(tmp_path, write_sweep, ray):
    plan, told = read_plan(write_sweep(CELLS.format(last=0), steps=1)), []
    lost = ActorDiedError("The actor died.\nIts node 10.0.0.2 died.")
    ray.replies = [lost, ActorUnavailableError("for now"), lost]
    listener = SweepListener(notify=told.append)
    (record,) = run_sweep(plan, tmp_path / "d", RayCluster(), listener)
    assert record.state == "finished" and len(ray.started) == 3
    # Told by a cell of the group.
    losses = [line for line in told if "its actor" in line]
    assert [line.partition("; ")[2] for line in losses] == [
        "it is started again, try 2 of 3",
        "it is started again, try 3 of 3",
    ]
    assert "group-1: its actor was lost (Its node 10.0.0.2 died.)" in losses[0]


def test_tries_are_bounded(tmp_path, write_sweep, ray, monkeypatch):
    monkeypatch.setattr(ray_module, "LocalGroup", lambda work: Still())
    plan, told = read_plan(write_sweep(CELLS.format(last=0), steps=1)), []
    ray.replies = [ActorDiedError("gone")] * 100
    listener = SweepListener(notify=told.append)
    (record,) = run_sweep(plan, tmp_path / "d", RayCluster(), listener)
    assert (record.state, record.exit_code, len(ray.started)) == ("failed", 3, 3)
    assert record.error == "its actor was lost (gone), 3 times"


@pytest.mark.parametrize(
    "look, words",
    [
        (("", "0.1.0"), "node 10.0.0.2 of the Ray cluster does not see"),
        (("other", "0.1.0"), "node 10.0.0.2 of the Ray cluster does not see"),
        (("", "0.0.9"), "node 10.0.0.2 has opro-local 0.0.9, and here is 0.1.0"),
        (RayError("task\nModuleNotFoundError: opro_local"), "runs nothing: ModuleNotFoundError"),
    ],
)
def test_a_node_that_cannot_run_the_sweep_is_named_before_anything_runs(
    tmp_path, write_sweep, ray, look, words
):
    ray.gpus = {"10.0.0.1": 0, "10.0.0.2": 0}
    ray.looks = {"10.0.0.2": look}
    plan = read_plan(write_sweep(CELLS.format(last=0)))
    with pytest.raises((UsageError, EngineError), match=words):
        run_sweep(plan, tmp_path / "d", RayCluster())
    assert not ray.started


def test_a_node_that_came_later_without_the_folder_says_so(tmp_path):
    actor = GroupActor(str(tmp_path / "none.work.json"), {})
    assert f"node {os.uname().nodename} does not see" in actor.poll()
    actor.stop()
    actor.interrupt()


@pytest.mark.parametrize(
    "gpus, workers, wanted, places",
    [
        ([0], None, [1, 1], 1),
        ([0, 0, 0], None, [1, 1], 3),
        ([0], 4, [1], 4),
        ([4, 3], None, [1], 7),
        ([4, 3], None, [2, 1], 3),
        ([4, 3], 2, [1], 2),
        ([2], None, [4], 1),
        ([0], None, [], 1),
    ],
)
def test_places_are_the_gpus_of_the_nodes_or_the_nodes(ray, gpus, workers, wanted, places):
    ray.gpus = {f"10.0.0.{number}": count for number, count in enumerate(gpus)}
    assert RayCluster("auto", workers).places(wanted) == places


def test_more_gpus_than_a_node_has_is_refused_and_without_any_none_is_asked(tmp_path, ray):
    ray.gpus = {"a": 2, "b": 2}
    with pytest.raises(EngineError, match=r"g: wants 4 GPUs, and no node .* more than 2"):
        RayCluster("auto").start(work(tmp_path, 4))
    ray.gpus = {"a": 0}
    assert RayCluster("auto").start(work(tmp_path, 4)) is not None
    assert ray.started[-1][0]["num_gpus"] == 0


def test_groups_wait_where_the_places_are_taken(tmp_path, ray, monkeypatch):
    monkeypatch.setattr(ray_module, "LocalGroup", lambda work: Still())
    cluster = RayCluster("auto", 2)
    first = cluster.start(work(tmp_path))
    assert first and cluster.start(work(tmp_path)) and cluster.start(work(tmp_path)) is None
    first.kill()
    assert [handle.is_dead for handle in ray.handles] == [True, False]
    assert first.poll() == "its actor was killed" and cluster.start(work(tmp_path))


class Still:
    """A group that runs."""

    def poll(self) -> None:
        return None


def test_a_cluster_of_our_own_asks_for_a_token_and_reports_nothing(ray, monkeypatch):
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness")
    for name in (*names, "RAY_DEDUP_LOGS_SKIP_REGEX"):
        # Set first, so that all are put back at the end.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    RayCluster("", 64)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token" and len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] == "."
    assert ray.init_options["include_dashboard"] is False
    assert (ray.init_options["address"], ray.init_options["num_cpus"]) == ("local", 64)


def test_a_cluster_that_is_not_there_is_one_line(ray):
    ray.refusal = ConnectionError("could not connect\nto 10.0.0.7:6379")
    with pytest.raises(
        EngineError, match=r"no Ray cluster at 10.0.0.7:6379: to 10.0.0.7:6379; see"
    ):
        RayCluster("10.0.0.7:6379")


def test_without_the_package_there_is_one_line_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"Ray.*not installed; pip install 'opro-local\[ray\]'"):
        RayCluster()


# From here on with Ray itself, on a cluster of processes of this machine.


def actors() -> dict[int, list[int]]:
    """The actors of groups that run here, each with the processes that it started."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            names[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(path.name)] = int(fields[1])
    found = [pid for pid, name in names.items() if b"ray::GroupActor" in name]
    return {pid: [own for own, parent in parents.items() if parent == pid] for pid in found}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_killed_actor_costs_its_calls_in_flight(tmp_path, write_sweep, requests, in_process):
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    file = write_sweep(CELLS.format(last=7), steps=2, seconds=0.004)
    command = [sys.executable, "-m", "opro_local", "sweep", str(file), "--on", "ray"]
    command += ["--run", str(tmp_path / "d"), "--workers", "2", "--json"]
    output = (tmp_path / "out.json").open("w")
    child = subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and len(requests()) < 200:
        time.sleep(0.02)
    assert child.poll() is None, child.stderr.read()
    before = len(requests())
    mine = [pid for pid, groups in actors().items() if groups]
    os.kill(mine[0], signal.SIGKILL)
    _, errors = child.communicate(timeout=700)
    assert child.returncode == 0, errors
    assert before >= 200 and "its actor was lost" in errors and "try 2 of 3" in errors
    found = json.loads((tmp_path / "out.json").read_text())["cells"]
    asked = len(requests())
    plan = read_plan(file)
    # The same two groups with nothing killed.
    alone = run_sweep(plan, tmp_path / "alone", in_process(places=2))
    again = asked - (len(requests()) - asked)
    assert [cell["digest"] for cell in found] == [describe(one.path).digest for one in alone]
    # Of the call in flight: at most two candidates on 60 rows, of each of the group's four cells.
    assert 0 <= again <= 4 * 2 * 60


def test_the_commands_of_the_page_are_understood():
    """Of docs/ray.md; what they do needs a cluster."""
    sweep = typer.main.get_command(app).commands["sweep"]
    lines = commands((ROOT / "docs" / "ray.md").read_text("utf-8").replace("\\\n", " "))
    assert lines
    for words in lines:
        context = sweep.make_context("sweep", list(takewhile(lambda word: word != "#", words[1:])))
        assert context.params["on"] == "ray"
