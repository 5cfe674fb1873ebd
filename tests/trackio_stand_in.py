"""A package named trackio with the part of its storage that is used, written to a folder of its
own: rows by run and log id as the real one keeps them, in a JSON file.

`TRACKIO_STAND_IN` in the environment has it fail or hang when it is imported.
"""

import json
import os
from pathlib import Path

SOURCE = """
import json, os, sys, time
from pathlib import Path
how = os.environ.get("TRACKIO_STAND_IN", "")
if how == "fail":
    raise RuntimeError("no room on this disk")
if how == "die":
    os.kill(os.getpid(), 9)
if how == "hang":
    time.sleep(600)
if how == "speak":
    print("noise on stdout"); print("noise on stderr", file=sys.stderr)
if how == "out":
    import socket
    socket.create_connection(("192.0.2.1", 9), 1)


class SQLiteStorage:
    @staticmethod
    def _file():
        return Path(os.environ["TRACKIO_DIR"]) / "rows.json"

    @classmethod
    def _all(cls):
        return json.loads(cls._file().read_text()) if cls._file().exists() else {}

    @staticmethod
    def validate_project_name(project):
        return None

    @classmethod
    def get_logs(cls, project, run=None, run_id=None):
        rows = cls._all().get(run_id, {}).get("rows", {})
        return [{**row, "step": step, "timestamp": time} for step, time, row in rows.values()]

    @classmethod
    def delete_run(cls, project, run, run_id=None):
        known = cls._all()
        known.pop(run_id, None)
        cls._file().write_text(json.dumps(known))

    @classmethod
    def bulk_log(cls, project, run, metrics_list, steps, timestamps, config, log_ids, run_id):
        known = cls._all()
        one = known.setdefault(run_id, {"rows": {}})
        one |= {"name": run, "project": project, "config": config}
        for id, step, time, row in zip(log_ids, steps, timestamps, metrics_list, strict=True):
            one["rows"].setdefault(id, [step, time, row])
        cls._file().write_text(json.dumps(known))
"""


def install(place: Path, monkeypatch) -> None:
    """Put it before all other packages, here and in processes that are started."""
    package = place / "trackio"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sqlite_storage.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(place))
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), *filter(None, [before])]))


def runs_in(folder: Path) -> list[dict]:
    """What it keeps: each run with its rows by step."""
    known = json.loads((folder / "rows.json").read_text())
    return [
        {**one, "key": key, "rows": {step: row for step, _, row in one["rows"].values()}}
        for key, one in known.items()
    ]
