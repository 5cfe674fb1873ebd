"""How many of the task files of the installed lm-evaluation-harness can be read here.

    python scripts/bench_harness.py

Counts the YAML files that define a task: read as they are, and with the Python code that they name
(task.harness_code). Reading checks every key; the data of the tasks is not needed and not touched,
so what is wrong with rows is not seen.
"""

from __future__ import annotations

import collections
import contextlib
import io
import logging
import re
from pathlib import Path

from opro_local.errors import DataError
from opro_local.tasks import harness_yaml


def task_files(root: Path) -> list[Path]:
    """The files that name a task and are no part of others."""
    return [
        path
        for path in sorted(root.rglob("*.yaml"))
        if not path.name.startswith("_") and re.search(r"^task:", path.read_text("utf-8"), re.M)
    ]


def check(path: Path, code: bool) -> None:
    """Read all that needs no rows. Raises DataError."""
    said = harness_yaml.read(path, code)
    harness_yaml.metric(path, said)
    harness_yaml.filters(path, said)
    harness_yaml.generation(path, said)


def main() -> None:
    """Print how many can be read, and what stands in the way of the others."""
    import lm_eval

    logging.disable()
    files = task_files(Path(lm_eval.__file__).parent / "tasks")
    for code in (False, True):
        reasons: collections.Counter[str] = collections.Counter()
        for path in files:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    check(path, code)
            except DataError as error:
                reason = error.message.partition(": ")[2]
                reasons[re.sub(r"\s*(is |'|\[).*", "", reason)[:60]] += 1
        read = len(files) - sum(reasons.values())
        kind = "with the code that they name" if code else "as they are"
        print(f"{read} of {len(files)} task files can be read {kind}")
        for reason, count in reasons.most_common(8):
            print(f"    {count:5}  {reason}")


if __name__ == "__main__":
    main()
