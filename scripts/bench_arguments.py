"""What the search benches take on their command lines: a wrong argument ends in one line before a
model is loaded, with exit code 2.

For: kinds of arguments for argparse, and what can be said of several together. Not for: what a
bench does with them.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def names_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Names with commas between them, all of which are known."""

    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"there is no {unknown[0]!r}; accepted: {', '.join(known)}"
            )
        return names

    return read


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is not less."""

    def read(text: str) -> int:
        if not text.strip().lstrip("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return read


def model_folder(text: str) -> str:
    """The folder of a model, as a path."""
    if not (Path(text) / "config.json").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder with a model (no config.json)")
    return text


def new_folder(text: str) -> Path:
    """A folder that is there or can be made."""
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return Path(text)


def output(text: str) -> Path:
    """A file for rows: a new one in a folder that is there, or one that has rows already."""
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    if path.exists():
        earlier_rows(text)
    return path


def earlier_rows(text: str) -> list[dict[str, Any]]:
    """The rows of a file that one of the benches wrote."""
    try:
        rows = json.loads(Path(text).read_text("utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} can't be read: {error.strerror}") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON") from None
    keys = {"task", "seed", "mode", "test"}
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and r.keys() >= keys for r in rows
    ):
        raise argparse.ArgumentTypeError(f"{text!r} has no rows of bench_search.py")
    return rows


def check_same(
    parser: argparse.ArgumentParser, earlier: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]
) -> None:
    """Rows that are gone on with have to be of the same budget and model; those of older builds do
    not say. Ends the program where not.
    """
    for row in earlier:
        if row.get("asked", asked) != asked:
            said = ", ".join(f"{name} {value}" for name, value in row["asked"].items())
            parser.error(f"--out has rows of a search with {said}; name another file")


def finished_runs(text: str) -> Path:
    """A folder with runs of bench_search.py, in folders by task, mode and seed."""
    path = Path(text)
    if not any(path.glob("*/*/*/run/result.json")):
        raise argparse.ArgumentTypeError(f"{text!r} has no finished runs of bench_search.py")
    return path


def add_runs(
    parser: argparse.ArgumentParser,
    tasks: Collection[str],
    modes: Collection[str],
    defaults: tuple[str, str],
) -> None:
    """What a bench that goes through finished runs of bench_search.py takes beside --runs, their
    folder; see `runs_of`.

    Args:
        parser: gets them.
        tasks, modes: all there are.
        defaults: the tasks and the modes that are looked for where none are named.
    """
    parser.add_argument("--seeds", type=at_least(1), default=2)
    parser.add_argument("--first-seed", type=at_least(0), default=0)
    parser.add_argument("--tasks", type=names_of(tasks), default=defaults[0])
    parser.add_argument("--modes", type=names_of(modes), default=defaults[1])
    parser.add_argument("--out", type=output, help="write the rows as JSON")


def runs_of(given: argparse.Namespace) -> Iterator[tuple[str, str, int, Path]]:
    """Task, mode, seed and folder of each run that was asked for and has ended."""
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for name, mode, seed in itertools.product(given.tasks, given.modes, seeds):
        run = given.runs / name / mode / str(seed) / "run"
        if (run / "result.json").exists():
            yield name, mode, seed, run


def check_room(
    parser: argparse.ArgumentParser, sizes: Mapping[str, int], rows: int, pairs: int
) -> None:
    """Every task has to have test rows beside so many train and validation rows, and the pairs have
    to be enough for one solution and the user's prompt. Ends the program where not.

    Args:
        parser: what says so.
        sizes: rows of each task.
        rows, pairs: as they were given.
    """
    for name, available in sizes.items():
        if 2 * rows >= available:
            parser.error(
                f"--rows {rows}: {name} has {available} rows, and train and validation have "
                f"--rows each; at most {(available - 1) // 2} leave a row for test"
            )
    if pairs < 2 * rows:
        parser.error(f"--pairs {pairs} is less than two solutions on {rows} rows ({2 * rows})")
