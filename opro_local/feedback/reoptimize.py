"""From logged feedback to a new search, and from its winner to a challenger.

For: the config of that search and the rows it is scored on. Not for: the search itself (run.py) or
the experiment that follows (log.py).

The logged prompts are where the search starts: the champion first, so that it is the baseline, then
the others that stood best. Their production scores are not carried over. Those were earned on other
inputs, at other times and under another rule than the search's, often a user's thumb; put beside
scores on the search's rows they would rank prompts by their luck with inputs. So every start is
scored again, on the same rows as every proposal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import DataError, StoreError, UsageError
from opro_local.feedback.experiment import Terms
from opro_local.feedback.log import Feedback
from opro_local.feedback.standing import standings
from opro_local.files import make_private_folder, read_bytes, write_whole
from opro_local.runs.run_result import RunResult
from opro_local.scoring.verdicts import GAIN
from opro_local.tasks.rows import MAX_FIELD

SPLITS = ("train", "validation", "test")
FEWEST = 10
LEFT_OUT = "left out: the input or the target is blank, holds a NUL or is too long"


def seeds(feedback: Feedback, most: int) -> list[str]:
    """The texts a search starts from: the champion, then the prompts with the highest lower ends,
    `most` in all.
    """
    return [row["text"] for row in _champion_first(standings(feedback)["prompts"])[:most]]


def _champion_first(prompts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    logged = [row for row in prompts if row["role"] != "champion" and row["n"]]
    best = sorted(logged, key=lambda row: (-row["interval"][0], row["id"]))
    return [row for row in prompts if row["role"] == "champion"] + best


def labelled(feedback: Feedback, most: int) -> tuple[list[dict[str, str]], int]:
    """The newest `most` logged inputs with a target, oldest first; of one input the newest target
    holds.

    Returns:
        the rows; and how many outcomes with a target were left out among them, because no task
        could read them.

    Raises:
        DataError: there are fewer than ten.
    """
    newest: dict[str, dict[str, str]] = {}
    left_out = 0
    rows = feedback.rows(
        "SELECT input, target FROM outcome WHERE target IS NOT NULL ORDER BY time DESC, number DESC"
    )
    for row in rows:
        if not all(_is_readable(text) for text in row.values()):
            left_out += 1
            continue
        newest.setdefault(" ".join(row["input"].split()), row)
        if len(newest) == most:
            break
    if len(newest) < FEWEST:
        without = f" ({left_out} {LEFT_OUT})" if left_out else ""
        raise DataError(
            f"{feedback.path}: {len(newest)} different logged inputs carry a "
            f"target{without}, {FEWEST} are needed",
            "log outcomes with a target, or give labelled rows: --data FILE --input COLUMN "
            "--target COLUMN",
        )
    return list(newest.values())[::-1], left_out


def _is_readable(text: str) -> bool:
    """Whether a table may hold it; older stores have texts that `Outcome` refuses now, and inputs
    may be empty.
    """
    return bool(text.strip()) and "\0" not in text and len(text) <= MAX_FIELD


def write_rows(
    rows: Sequence[Mapping[str, str]], shares: Sequence[float], beside: Path
) -> dict[str, str]:
    """Write the rows as one JSON Lines file per split, the newest as test, and return the files by
    split.

    The newest are nearest to what comes next, and new since the last search, so that no logged
    prompt was chosen on them. The folder's name holds the rows' digest: the same rows give the same
    files, and so the same run resumes.

    Args:
        rows: oldest first.
        shares: of train, validation and test, as `task.split` has them.
        beside: the store; the files go to `<store>-rows/<digest>/`.
    """
    lines = [json.dumps({"input": row["input"], "target": row["target"]}) + "\n" for row in rows]
    digest = hashlib.sha256(json.dumps([lines, list(shares)]).encode()).hexdigest()[:12]
    folder = beside.with_name(f"{beside.name}-rows") / digest
    test, validation = (round(len(lines) * share) for share in (shares[2], shares[1]))
    first_test = len(lines) - test
    first_validation = max(1, first_test - validation)
    parts = (lines[:first_validation], lines[first_validation:first_test], lines[first_test:])
    files = {
        split: folder / f"{split}.jsonl" for split, part in zip(SPLITS, parts, strict=True) if part
    }
    try:
        make_private_folder(folder.parent)
        make_private_folder(folder)
        for file, part in zip(files.values(), (part for part in parts if part), strict=True):
            write_whole(file, "".join(part))
    except OSError as error:
        raise StoreError(
            f"{folder}: can't be written ({error.strerror})", "free space or make it writable"
        ) from None
    return {split: str(file.resolve()) for split, file in files.items()}


def plan(
    feedback: Feedback,
    tables: Mapping[str, Mapping[str, Any]],
    overrides: Sequence[str],
    most_seeds: int,
    rows: int,
) -> tuple[Config, int]:
    """The config of the new search, and how many logged rows were left out of it (see `labelled`).

    Args:
        tables: as `config.build` takes them; without data in `task` the logged rows with a target
        are used.
        overrides: "section.key=value"; they win.
        most_seeds: how many logged prompts the search starts from.
        rows: how many logged rows are used, at most.

    Raises:
        UsageError: an experiment runs (its outcome decides who is champion), or a setting is wrong,
            such as one that would give a winner worked examples.
        DataError: too few labelled rows.
    """
    running = feedback.state().experiment
    if running:
        raise UsageError(
            f"{running.challenger} is still being compared with the champion",
            "see opro-local feedback compare; end it with compare --apply, promote, keep or "
            "rollback",
        )
    task = dict(tables.get("task", {}))
    search = {"seeds": seeds(feedback, most_seeds), "demonstrations": 0}
    start = {"search": search, "run": {"name": "feedback"}}
    # Built once without files, so that a wrong setting is told before anything is written.
    bare = reading.build({**tables, "task": {}, **start}, overrides)
    _refuse_examples(bare)
    left_out = 0
    if not task.get("data"):
        found, left_out = labelled(feedback, rows)
        task = {
            "input": "input",
            "target": "target",
            **write_rows(found, bare.task.split, feedback.path),
        }
    return reading.build({**tables, **start, "task": task}, overrides), left_out


def _refuse_examples(config: Config) -> None:
    """A logged prompt is a text: the service would show a challenger without the examples that
    earned its verdict.
    """
    search = config.search
    if search.demonstrations or any(seed.demonstrations for seed in search.starts):
        raise UsageError(
            "worked examples in a search from feedback: a logged prompt is a text, the "
            "service would not show them",
            "leave search.demonstrations at 0 and search.seeds without demonstrations",
        )


def default_folder(config: Config) -> Path:
    """`runs/feedback-<id>`: the id covers the config and the bytes of its data, so new rows make a
    new run.
    """
    digest = hashlib.sha256(config.canonical().encode())
    for name in ("data", *SPLITS):
        path = getattr(config.task, name)
        if path and Path(path).is_file():
            digest.update(read_bytes(Path(path)))
    return Path("runs") / f"{config.run.name}-{digest.hexdigest()[:8]}"


def challenge(
    feedback: Feedback, result: RunResult, run: Path, share: float, anyway: bool = False
) -> tuple[str | None, str]:
    """Make the winner of a finished search the challenger, where the search has shown it better.

    Args:
        result: of that search.
        run: the run's folder, kept as the prompt's source.
        share: the challenger's part of the users.
        anyway: also without a reliable gain, and also a prompt that lost before.

    Returns:
        the challenger's id, or None; and why, in words.
    """
    verdict, text = result.verdict, result.best.text
    if verdict != GAIN and not anyway:
        return None, f"no challenger: {verdict}"
    if text == feedback.prompt(feedback.state().champion):
        return None, "no challenger: the champion came out best"
    id = feedback.register(text, source=str(run))
    if not anyway and any(
        row["action"] == "challenge" and row["challenger"] == id for row in feedback.history()
    ):
        return (
            None,
            f"no challenger: {id} was compared before; --anyway or feedback challenge {id} "
            f"does it again",
        )
    feedback.challenge(id, Terms(share=share), f"{verdict} in {run}")
    return id, f"the challenger {id} is compared with the champion from now on"
