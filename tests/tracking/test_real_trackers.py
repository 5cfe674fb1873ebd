"""Trackers as they are, where their packages are installed: MLflow and trackio on a disk, with the
guard up in the process that writes.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from opro_local.errors import UsageError
from opro_local.network import GUARD
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.tracking.following import following
from opro_local.tracking.process import track
from opro_local.tracking.record import tracked_run
from opro_local.tracking.tracker import require_package

pytestmark = pytest.mark.long
# The last pass of a tracker, which has a database to make first, on a busy machine.
SECONDS = 250.0


def require(name: str) -> None:
    """Skip the calling test where a tracker's package is not installed."""
    try:
        require_package(name)
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def mlflow(monkeypatch):
    require("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://192.0.2.1:5000")
    assert GUARD in os.environ
    return "mlflow"


@pytest.fixture
def trackio(monkeypatch):
    require("trackio")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://192.0.2.1:7860")
    return "trackio"


class Kept:
    """What MLflow keeps in a folder."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment = self.client.get_experiment_by_name("opro-local").experiment_id

    def runs(self, deleted: bool = False) -> list:
        from mlflow.entities import ViewType

        kind = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        return list(self.client.search_runs([self._experiment], run_view_type=kind))

    def points(self, one) -> set[tuple[str, int, float]]:
        history = [
            point
            for name in one.data.metrics
            for point in self.client.get_metric_history(one.info.run_id, name)
        ]
        points = [(point.key, point.step, point.value) for point in history]
        assert len(points) == len(set(points)), "a point is there twice"
        return set(points)


def points_of(folder: Path) -> set[tuple[str, int, float]]:
    return {(point.name, point.step, point.value) for point in tracked_run(folder).points}


def test_mlflow_has_a_run_once_and_as_it_is(mlflow, build, mails):
    for _ in range(2):
        came = track(mails, mlflow)
        assert came.notices == ()
    kept, told, result = Kept(mails.parent / mlflow), tracked_run(mails), describe(mails)
    (one,) = kept.runs()
    assert kept.points(one) == points_of(mails) and one.data.params == told.params
    assert told.tags.items() <= one.data.tags.items() and one.info.status == "FINISHED"
    files = [file.path for file in kept.client.list_artifacts(one.info.run_id)]
    assert sorted(files) == ["best.json", "best.txt", "result.json"]
    (version,) = kept.client.search_prompt_versions("mails")
    assert version.template == told.prompt["template"]
    assert version.tags["opro_local.verdict"] == result.verdict
    assert one.data.tags["mlflow.note.content"] == told.note

    # Extended: what is not so any more is gone, what others wrote stays.
    kept.client.set_tag(one.info.run_id, "mine", "kept")
    run(build("search.steps=3"), mails)
    track(mails, mlflow)
    (after,) = kept.runs()
    assert kept.points(after) == points_of(mails) and after.data.tags["mine"] == "kept"
    assert after.data.params["search.steps"] == "3" and len(kept.runs(deleted=True)) == 1


def test_mlflow_has_a_sweep_above_its_cells(mlflow, build, mails):
    folder = mails.parent / "seeds"
    stopped = folder / "cells" / "b"
    shutil.copytree(mails, folder / "cells" / "a")
    with pytest.raises(Interrupted):
        run(build("run.seed=5"), stopped, Listener(should_stop=lambda: True))
    cells = [{"name": name, "state": "?", "path": str(folder / "cells" / name)} for name in "ab"]
    record = {"name": "seeds", "keys": ["run.seed"], "cells": cells}
    (folder / "sweep.json").write_text(json.dumps(record))
    for _ in range(2):
        track(folder, mlflow)
    runs = {one.info.run_name: one for one in Kept(folder.parent / mlflow).runs()}
    assert sorted(runs) == ["a", "b", "seeds"]
    parents = {name: one.data.tags.get("mlflow.parentRunId") for name, one in runs.items()}
    above = runs["seeds"].info.run_id
    assert parents == {"a": above, "b": above, "seeds": None}
    states = {name: one.info.status for name, one in runs.items()}
    assert states == {"a": "FINISHED", "b": "KILLED", "seeds": "KILLED"}


@pytest.mark.parametrize("name", ["mlflow", "trackio"])
def test_a_run_is_followed_to_its_end(name, request, build, mails, monkeypatch):
    request.getfixturevalue(name)
    monkeypatch.setattr("opro_local.tracking.following.END_SECONDS", SECONDS)
    folder, lines = mails.parent / "live", []
    config = build(f'run.track=["{name}"]')
    with following(config.run.track, folder, Listener(notify=lines.append)) as told:
        run(config, folder, told)
    assert not [line for line in lines if line.startswith(name)]
    assert describe(folder).digest == describe(mails).digest
    assert track(folder, name).runs == ({"path": str(folder), "state": "finished"},)
    if name == "mlflow":
        (one,) = Kept(folder.parent / name).runs()
        assert one.info.status == "FINISHED"


def rows_in(folder: Path) -> dict[str, dict[int, dict[str, float]]]:
    """What trackio keeps: rows by step of each run, read from its file."""
    import sqlite3

    connection = sqlite3.connect(folder / "opro-local.db")
    found: dict[str, dict[int, dict[str, float]]] = {}
    for id, step, text in connection.execute("SELECT run_id, step, metrics FROM metrics"):
        assert step not in found.setdefault(id, {}), "a step is there twice"
        found[id][step] = json.loads(text)
    connection.close()
    return found


def test_trackio_has_a_run_once_and_as_it_is(trackio, build, mails):
    for steps in (2, 2, 3):
        run(build(f"search.steps={steps}"), mails)
        track(mails, trackio)
        (rows,) = rows_in(mails.parent / trackio).values()
        assert {
            (name, step, value) for step, row in rows.items() for name, value in row.items()
        } == points_of(mails)
