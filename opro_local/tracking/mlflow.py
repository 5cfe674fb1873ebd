"""MLflow's tracking in a SQLite file of this machine: runs, metrics, files, and prompts.

For: writing a TrackedRun. Not for: servers; whatever MLFLOW_TRACKING_URI says, nothing is asked of
one. network.py has switched MLflow's usage reports off before it is imported.

MLflow changes no parameter and removes no metric. So a run of which it has other ones than the
store tells (it was extended, or begun anew in its folder) is deleted there, as by hand in its page,
and written again with the tags that are not ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opro_local.tracking.record import PREFIX, Point, TrackedRun

KEY = f"{PREFIX}key"
NOTE, OUR_NOTE = "mlflow.note.content", f"{PREFIX}note"
STATUS = {
    "new": "RUNNING",
    "running": "RUNNING",
    "interrupted": "KILLED",
    "failed": "FAILED",
    "finished": "FINISHED",
}
# Variables that have MLflow ask somebody else.
ELSEWHERE = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
# What MLflow takes in one call.
MOST_METRICS, MOST_PARAMS, MOST_TAGS = 1000, 100, 100


class Mlflow:
    """An experiment in FOLDER/mlflow.db, its files in FOLDER/artifacts. See Tracker."""

    def __init__(self, folder: Path, experiment: str) -> None:
        import mlflow
        from mlflow import MlflowClient

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.absolute()
        self._uri = f"sqlite:///{self._folder / 'mlflow.db'}"
        # A client's own address is not all: registering a prompt asks the process' one as well.
        for name in ELSEWHERE:
            os.environ.pop(name, None)
        mlflow.set_tracking_uri(self._uri)
        mlflow.set_registry_uri(self._uri)
        self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        known = self._client.get_experiment_by_name(experiment)
        if known is None:
            files = (self._folder / "artifacts").as_uri()
            self._experiment = self._client.create_experiment(experiment, artifact_location=files)
        else:
            self._experiment = known.experiment_id

    def place(self) -> str:
        """See Tracker.place."""
        return f"mlflow ui --backend-store-uri {self._uri}"

    def write(self, run: TrackedRun, parent: str = "") -> tuple[str, ...]:
        """See Tracker.write."""
        known = self._known(run.key)
        kept: dict[str, str] = {}
        if known is not None and not self._agrees(known, run):
            kept = {name: text for name, text in known.data.tags.items() if _is_foreign(name)}
            self._client.delete_run(known.info.run_id)
            known = None
        if known is None:
            known = self._client.create_run(
                self._experiment,
                start_time=None if run.began is None else round(1000 * run.began),
                tags={**kept, KEY: run.key},
                run_name=run.name,
            )
        id = known.info.run_id
        self._write_data(known, run, parent)
        self._write_status(id, run)
        for file in run.files:
            self._client.log_artifact(id, str(file))
        return self._register(id, run)

    def _known(self, key: str) -> Any:
        """The run of a key; None before it is written."""
        runs = self._client.search_runs([self._experiment], f"tags.`{KEY}` = '{key}'")
        return next(iter(runs), None)

    def _agrees(self, known: Any, run: TrackedRun) -> bool:
        """Whether all that is there is part of what the run tells."""
        if not known.data.params.items() <= dict(run.params).items():
            return False
        wanted = {(point.name, point.step, point.value) for point in run.points}
        return all((one.key, one.step, one.value) in wanted for one in self._history(known))

    def _history(self, known: Any) -> Iterator[Any]:
        for name in known.data.metrics:
            yield from self._client.get_metric_history(known.info.run_id, name)

    def _write_data(self, known: Any, run: TrackedRun, parent: str) -> None:
        """What is not there yet."""
        from mlflow.entities import Metric, Param, RunTag

        id, there = known.info.run_id, {(one.key, one.step) for one in self._history(known)}
        new = [point for point in run.points if (point.name, point.step) not in there]
        metrics = [Metric(one.name, one.value, _milliseconds(one), one.step) for one in new]
        absent = run.params.items() - known.data.params.items()
        params = [Param(name, text) for name, text in sorted(absent)]
        said = {**run.tags, "mlflow.runName": run.name}
        said[OUR_NOTE] = run.note
        # A note that somebody wrote over ours stays.
        if known.data.tags.get(NOTE) == known.data.tags.get(OUR_NOTE):
            said[NOTE] = run.note
        if parent:
            said["mlflow.parentRunId"] = self._known(parent).info.run_id
        for name in known.data.tags:
            # What an earlier state said, such as the verdict of a run that was extended.
            if name.startswith(PREFIX) and name not in (*said, KEY):
                self._client.delete_tag(id, name)
        tags = [RunTag(name, text) for name, text in said.items()]
        for part in _parts(metrics, MOST_METRICS):
            self._client.log_batch(id, metrics=part)
        for part in _parts(params, MOST_PARAMS):
            self._client.log_batch(id, params=part)
        for part in _parts(tags, MOST_TAGS):
            self._client.log_batch(id, tags=part)

    def _write_status(self, id: str, run: TrackedRun) -> None:
        status = STATUS[run.state]
        if run.ended is None:
            self._client.update_run(id, status=status)
        else:
            self._client.set_terminated(id, status, round(1000 * run.ended))

    def _register(self, id: str, run: TrackedRun) -> tuple[str, ...]:
        """Make the winner a version of the prompt of its name, unless it is one already."""
        from mlflow.exceptions import MlflowException

        if run.prompt is None:
            return ()
        arguments = {**run.prompt, "tags": {**run.prompt["tags"], KEY: run.key}}
        try:
            if not self._is_registered(arguments):
                version = self._client.register_prompt(**arguments)
                self._client.link_prompt_version_to_run(id, version)
        except MlflowException as error:
            # Such as a text longer than it takes; the run's figures are written all the same.
            line = " ".join(str(error).split())
            return (f"{run.path}: the prompt is not registered: {line}",)
        return ()

    def _is_registered(self, arguments: dict[str, Any]) -> bool:
        name = arguments["name"]
        if self._client.get_prompt(name) is None:
            return False
        return any(
            version.tags.get(KEY) == arguments["tags"][KEY]
            and version.template == arguments["template"]
            for version in self._client.search_prompt_versions(name)
        )


def _is_foreign(name: str) -> bool:
    """Whether a tag was set by somebody else."""
    return not name.startswith((PREFIX, "mlflow."))


def _milliseconds(point: Point) -> int:
    return round(1000 * point.time)


def _parts(entries: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(entries), most):
        yield entries[first : first + most]
