"""Links that somebody laid where files of ours go: nothing outside changes, and the user is told.

Every case lays one link (or a FIFO) in a project, does what a user does there, and looks at what
lies outside of it: names, contents, permissions and times.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from running import SCRIPT, write_reviews

from opro_local.config import reading
from opro_local.errors import OproError, StoreError
from opro_local.feedback import Feedback
from opro_local.feedback.reoptimize import write_rows as write_feedback_rows
from opro_local.runs.cache import Cache
from opro_local.runs.evaluated_rows import write_rows
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.store import open_store
from opro_local.scoring.answers import score_file
from opro_local.types import Completion, Prompt, Request, Sampling

# What a link leads to: a file that is there, and a name that is free.
ENDS = ("there", "free")


@pytest.fixture
def outside(tmp_path_factory):
    """A folder that no case may change."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "there").write_text("mine\n")
    (folder / "there").chmod(0o640)
    (folder / "folder").mkdir()
    (folder / "folder" / "best.txt").write_text("mine too\n")
    return folder


def state_of(folder: Path) -> list[tuple]:
    """All that can be seen of a folder."""
    seen = []
    for path in sorted(folder.rglob("*")):
        there = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        seen.append((str(path), there.st_mode, there.st_mtime_ns, there.st_nlink, content))
    return seen


def scripted(data: Path, *more: str):
    role = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(data), "input": "text", "target": "label"},
        "scorer": role,
        "optimizer": role,
        "search": {"steps": 1, "candidates": 2, "metaprompt": "continuation", "seeds": ["What?"]},
    }
    return reading.build(tables, more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run and its config."""
    folder = tmp_path_factory.mktemp("finished")
    config = scripted(write_reviews(folder / "reviews.csv"))
    run(config, folder / "run")
    return folder / "run", config


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the finished run, and what gives its command again."""
    folder, config = finished
    copy = tmp_path / "project" / "run"
    shutil.copytree(folder, copy)
    return copy, lambda: run(config, copy)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "name", ["lock", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm", "run.sqlite-journal"]
)
def test_a_store_is_not_opened_through_a_link(again, outside, name, end):
    folder, command = again
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside / end)
    before = state_of(outside)
    with pytest.raises(StoreError, match=f"{name}: a link to .*{end}, which is not followed"):
        command()
    if name == "run.sqlite" and end == "there":
        with pytest.raises(StoreError, match="a link to"):
            describe(folder)
    assert state_of(outside) == before and (folder / name).is_symlink()


@pytest.mark.parametrize("end", ["folder", "none"])
def test_a_run_folder_that_leads_elsewhere_is_refused(finished, outside, tmp_path, end):
    _, config = finished
    link = tmp_path / "run"
    link.symlink_to(outside / end)
    before = state_of(outside)
    with pytest.raises(StoreError, match="outside its own folder"):
        run(config, link)
    assert state_of(outside) == before


def test_a_run_folder_that_is_a_link_to_its_neighbour_is_the_neighbour(finished, tmp_path):
    folder, config = finished
    shutil.copytree(folder, tmp_path / "real")
    (tmp_path / "latest").symlink_to("real")
    (tmp_path / "real" / "best.txt").unlink()
    run(config, tmp_path / "latest")
    assert (tmp_path / "real" / "best.txt").exists() and (tmp_path / "latest").is_symlink()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["result.json", "best.txt"])
def test_what_a_run_writes_replaces_a_link(again, outside, name, end):
    folder, command = again
    (folder / name).unlink()
    (folder / name).symlink_to(outside / end)
    before = state_of(outside)
    command()
    assert state_of(outside) == before
    assert not (folder / name).is_symlink() and (folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["result.json.part", "best.txt.part", ".best.txt.part"])
def test_names_that_were_used_on_the_way_are_left_alone(again, outside, name):
    folder, command = again
    (folder / name).symlink_to(outside / "there")
    before = state_of(outside)
    command()
    assert state_of(outside) == before and (folder / name).is_symlink()


@pytest.mark.parametrize("end", ENDS)
def test_an_engines_log_is_not_appended_to_a_link(finished, outside, tmp_path, end):
    _, config = finished
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scorer.log").symlink_to(outside / end)
    before = state_of(outside)
    fresh = config.model_copy(update={"run": config.run.model_copy(update={"cache": False})})
    with pytest.raises(StoreError, match=r"scorer\.log: a link to"):
        run(fresh, tmp_path / "run")
    assert state_of(outside) == before


@pytest.mark.parametrize("name", ["lock", "run.sqlite"])
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_store_is_a_regular_file(finished, tmp_path, name, kind):
    _, config = finished
    folder = tmp_path / "run"
    folder.mkdir()
    os.mkfifo(folder / name) if kind == "fifo" else (folder / name).mkdir()
    with pytest.raises(StoreError, match=r"regular file|Is a directory"):
        run(config, folder)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["scored.jsonl", "rows.jsonl", "rows.parquet"])
def test_an_output_is_not_written_through_a_link_that_leads_elsewhere(tmp_path, outside, name, end):
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"target": "a", "answer": "a"}) + "\n")
    output = tmp_path / name
    output.symlink_to(outside / end)
    before = state_of(outside)
    with pytest.raises(OproError, match="outside its own folder"):
        if name == "scored.jsonl":
            score_file(answers, "exact", output)
        else:
            write_rows(output, [{"a": 1}])
    assert state_of(outside) == before


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["feedback.sqlite", "feedback.sqlite-wal", "feedback.sqlite-shm"])
def test_feedback_is_not_opened_through_a_link_that_leads_elsewhere(tmp_path, outside, name, end):
    (tmp_path / name).symlink_to(outside / end)
    before = state_of(outside)
    with pytest.raises(StoreError, match="a link to"):
        Feedback(tmp_path / "feedback.sqlite").register("Words")
    assert state_of(outside) == before


@pytest.mark.parametrize("name", ["train.jsonl", "test.jsonl", ""])
def test_logged_rows_are_not_written_through_a_link(tmp_path, outside, name):
    rows = [{"input": str(n), "target": "a"} for n in range(10)]
    shares, store = (0.4, 0.2, 0.4), tmp_path / "f.sqlite"
    files = write_feedback_rows(rows, shares, store)
    folder = Path(files["train"]).parent
    before = state_of(outside)
    if name:
        (folder / name).unlink()
        (folder / name).symlink_to(outside / "there")
        write_feedback_rows(rows, shares, store)
        assert not (folder / name).is_symlink()
    else:
        shutil.rmtree(folder.parent)
        folder.parent.symlink_to(outside / "folder")
        with pytest.raises(StoreError, match="outside its own folder"):
            write_feedback_rows(rows, shares, store)
    assert state_of(outside) == before


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_cache_behind_a_link_is_switched_off(own_cache, outside, suffix, end):
    (own_cache / f"completions.sqlite{suffix}").symlink_to(outside / end)
    before, said = state_of(outside), []
    shelf = Cache(notify=said.append).shelf({"engine": "x"})
    request = Request(Prompt("p"), Sampling(4))
    shelf.keep([request], [Completion("a", "stop", 1, 0, 1)])
    assert shelf.find([request]) == [None]
    assert len(said) == 1 and "a link to" in said[0] and state_of(outside) == before


def modes(folder: Path, pattern: str = "*") -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.glob(pattern)}


def test_what_is_made_is_private(tmp_path, own_cache):
    run(scripted(write_reviews(tmp_path / "r.csv")), tmp_path / "runs" / "one")
    store = open_store(tmp_path / "two")
    store.put(state="new")
    with Feedback(tmp_path / "feedback.sqlite") as opened:
        opened.register("Words")
        made = modes(tmp_path, "feedback.sqlite*") | modes(tmp_path / "two")
    store.close()
    Cache().write({b"key": Completion("a", "stop", 1, 0, 1)})
    made |= modes(tmp_path / "runs" / "one") | modes(own_cache)
    wanted = {"run.sqlite-wal", "run.sqlite-shm", "feedback.sqlite-wal", "completions.sqlite"}
    assert made.keys() >= wanted | {"lock", "run.sqlite", "result.json", "best.txt", "scorer.log"}
    assert set(made.values()) == {"0o600"}
    assert modes(tmp_path, "two") | modes(tmp_path, "runs/one") == {"two": "0o700", "one": "0o700"}
