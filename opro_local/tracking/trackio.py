"""trackio's SQLite file on this machine: metrics by step, settings and texts.

For: writing a TrackedRun. Not for: Spaces, servers, files and prompts: trackio is given none of
these. Its `init` watches the machine's hardware, sends what is logged to wherever the environment
says, and gives rows no identity; so rows go straight to its storage, each with an identity of its
own.
"""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opro_local.tracking.record import TrackedRun

FOLDER = "TRACKIO_DIR"  # where trackio looks, read when it is imported
# Variables that have trackio write, or read, somewhere else than in its folder.
ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID")


class Trackio:
    """A project in a folder. See Tracker.

    One process has one folder: trackio knows no other way.
    """

    def __init__(self, folder: Path, experiment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._project = folder.absolute(), experiment
        os.environ[FOLDER] = str(self._folder)
        for name in ELSEWHERE:
            os.environ.pop(name, None)
        from trackio.sqlite_storage import SQLiteStorage

        self._storage: Any = SQLiteStorage
        self._storage.validate_project_name(experiment)

    def place(self) -> str:
        """See Tracker.place."""
        folder, project = shlex.quote(str(self._folder)), shlex.quote(self._project)
        return f"{FOLDER}={folder} trackio show --project {project}"

    def write(self, run: TrackedRun, parent: str = "") -> tuple[str, ...]:
        """See Tracker.write. What belongs to a sweep is in the sweep's group, which is no run."""
        if run.is_sweep:
            return ()
        rows, times = _rows(run)
        there = self._storage.get_logs(self._project, run.name, run_id=run.key)
        if any(_figures(one) != rows.get(one["step"]) for one in there):
            self._storage.delete_run(self._project, run.name, run_id=run.key)
        texts = {**run.params, **run.tags, "summary": run.note}
        self._storage.bulk_log(
            self._project,
            run.name,
            list(rows.values()),
            steps=list(rows),
            timestamps=[times[step] for step in rows],
            config={**texts, "_Group": run.group or None, "_Created": times[min(rows)]},
            log_ids=[f"{run.key}-{step}" for step in rows],
            run_id=run.key,
        )
        return ()


def _rows(run: TrackedRun) -> tuple[dict[int, dict[str, float]], dict[int, str]]:
    """Metrics and the time by step. A run without any has one row, for trackio knows no run by
    anything else.
    """
    rows: dict[int, dict[str, float]] = {}
    times: dict[int, str] = {}
    for point in run.points:
        rows.setdefault(point.step, {})[point.name] = point.value
        times[point.step] = datetime.fromtimestamp(point.time, UTC).isoformat()
    if not rows:
        return {0: {"train/solutions": 0.0}}, {0: datetime.fromtimestamp(0, UTC).isoformat()}
    return rows, times


def _figures(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("timestamp", "step")}
