"""Runs that somebody else prepared or edited: `apply` replaces nothing by them, and runs none of
their code.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from running import program

from opro_local.api import apply
from opro_local.cli import runs
from opro_local.config import reading
from opro_local.errors import OproError, StoreError, UsageError
from opro_local.problems.function import file_digest
from opro_local.runs.run import run
from opro_local.runs.store import FILE, open_store

AGENTS = "# Rules\nBe brief.\n"
MODEL = """
def answer(request):
    if request.sampling.seed is not None:
        word = ("obey", "rest", "sing")[request.sampling.seed % 3]
        return f"Please {word} number {request.sampling.seed % 7}."
    return request.prompt.text if "obey" in (request.prompt.system or "") else "no"
"""
SUITE = "".join(
    f'[[task]]\nprompt = "Say w{n}"\nsplit = "{split}"\ntarget = "w{n}"\n'
    for split, count in (("train", 2), ("validation", 2), ("test", 9))
    for n in range(count)
)


def project(folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    (folder / "AGENTS.md").write_text(AGENTS)
    (folder / "suite.toml").write_text(SUITE)
    (folder / "models.py").write_text(MODEL)
    scripted = {"engine": "scripted", "script": f"{folder / 'models.py'}:answer"}
    paths = {"file": str(folder / "AGENTS.md"), "suite": str(folder / "suite.toml")}
    return {
        "problem": {"kind": "agent_file", **paths},
        "optimizer": scripted,
        "scorer": scripted,
        "search": {"steps": 3, "candidates": 2},
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A project with a finished run whose gain is reliable."""
    folder = tmp_path_factory.mktemp("original") / "project"
    result = run(reading.build(project(folder)), folder / "run")
    assert result["verdict"] == "reliable gain"
    return folder


@pytest.fixture
def forged(original, tmp_path):
    """A copy of the project, to forge; the paths in its run lead to the copy."""
    folder = tmp_path / "project"
    shutil.copytree(original, folder)
    store = open_store(folder / "run")
    moved = json.dumps(store.get("config")).replace(str(original), str(folder))
    store.put(config=json.loads(moved))
    store.close()
    return folder


def put(folder: Path, name: str, change: Callable) -> None:
    """Change what the run keeps, with all of the store's own digests in order."""
    store = open_store(folder / "run")
    store.put(**{name: change(store.get(name))})
    store.close()


def result(**changes) -> Callable[[Path], None]:
    return lambda folder: put(folder, "result", lambda kept: {**kept, **changes})


def best(folder: Path) -> None:
    put(folder, "result", lambda kept: {**kept, "best": {**kept["best"], "text": "rm -rf ~\n"}})


def problem(**changes) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        put(folder, "config", lambda kept: {**kept, "problem": {**kept["problem"], **changes}})

    return forge


def section(name: str, **changes) -> Callable[[Path], None]:
    return lambda folder: put(folder, "config", lambda kept: {**kept, name: changes})


def meta(**values) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        store = open_store(folder / "run")
        store.put(**values)
        store.close()

    return forge


def other_file(folder: Path) -> None:
    """The victim's own file, with a digest that fits."""
    victim = folder.parent / "bashrc"
    victim.write_text("alias ls='ls --color'\n")
    problem(file=str(victim))(folder)
    put(folder, "identity", lambda kept: {**kept, "file": file_digest(victim)})


def edited_file(folder: Path) -> None:
    (folder / "AGENTS.md").write_text("# Other rules\n")
    put(folder, "identity", lambda kept: {**kept, "file": file_digest(folder / "AGENTS.md")})


EVIL = (
    '[[task]]\nprompt = "x"\nrule = "evil.py:score"\nsplit = "train"\n'
    "\n[[task]]\nprompt = 'y'\nrule = 'evil.py:score'\nsplit = 'test'\n"
)


def code_elsewhere(folder: Path) -> None:
    """A suite outside the project, whose rule is code."""
    place = folder.parent / "elsewhere"
    place.mkdir()
    (place / "evil.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'w')\n")
    (place / "suite.toml").write_text(EVIL)
    problem(suite=str(place / "suite.toml"))(folder)


def code_behind_dots(folder: Path) -> None:
    code_elsewhere(folder)
    problem(suite=str(folder / ".." / "elsewhere" / "suite.toml"))(folder)


def code_behind_a_link(folder: Path) -> None:
    code_elsewhere(folder)
    (folder / "linked.toml").symlink_to(folder.parent / "elsewhere" / "suite.toml")
    problem(suite=str(folder / "linked.toml"))(folder)


def easier_suite(folder: Path) -> None:
    (folder / "suite.toml").write_text(SUITE.replace("w8", "w"))


def calls(sql: str, change: Callable[[list], list] | None = None) -> Callable[[Path], None]:
    """Change the stored completions by SQL, with their digest in order."""

    def forge(folder: Path) -> None:
        connection = sqlite3.connect(folder / "run" / FILE)
        if change is None:
            connection.execute(sql)
        else:
            for label, payload in connection.execute(sql).fetchall():
                columns = json.loads(zlib.decompress(payload))
                changed = zlib.compress(json.dumps(change(columns)).encode())
                connection.execute(
                    "UPDATE call SET payload = ?, payload_digest = ? WHERE label = ?",
                    (changed, hashlib.sha256(changed).digest(), label),
                )
        connection.commit()
        connection.close()

    return forge


def all_text(text: str) -> Callable[[list], list]:
    return lambda columns: [[text] * len(columns[0]), *columns[1:]]


CASES = {
    "another winner": best,
    "no winner": result(best=None),
    "a winner that is no table": result(best="x"),
    "a winner without text": result(best={"key": "x"}),
    "a winner that is a number": result(best={"text": 5}),
    "another digest": result(digest="0" * 64),
    "no digest": result(digest=None),
    "a verdict that is no gain": result(verdict="no reliable gain"),
    "a verdict that is a list": result(verdict=["reliable gain"]),
    "a result that is a list": meta(result=["reliable gain"]),
    "an empty result": meta(result={}),
    "no result": meta(result=None),
    "a result that is a text": meta(result="reliable gain"),
    "not finished": meta(state="running"),
    "a state that is a table": meta(state={"finished": True}),
    "another file of the user's": other_file,
    "a file that was edited, and its digest": edited_file,
    "no digest of the file": meta(identity={}),
    "an identity that is a list": meta(identity=[1]),
    "another suite's digest": lambda folder: put(
        folder, "identity", lambda kept: {**kept, "suite": "0" * 16}
    ),
    "a suite elsewhere, with code": code_elsewhere,
    "a suite elsewhere, by dots": code_behind_dots,
    "a suite elsewhere, by a link": code_behind_a_link,
    "a suite that became easier": easier_suite,
    "a suite that is not there": problem(suite="/none/suite.toml"),
    "another kind": problem(kind="tsp"),
    "no kind": problem(kind=None),
    "a kind that is a list": problem(kind=[]),
    "a problem that is a text": lambda folder: put(
        folder, "config", lambda kept: {**kept, "problem": "agent_file"}
    ),
    "a config that is a list": meta(config=[1]),
    "no config": meta(config=None),
    "an unknown setting": problem(evil=1),
    "an unknown section": section("evil", a=1),
    "a file that is a number": problem(file=5),
    "another seed": section("run", seed=7),
    "other sections": problem(edit="section"),
    "a longer search": section("search", steps=9, candidates=2),
    "a model that is not there": section("scorer", model="/none/model"),
    "no completions": calls("DELETE FROM call"),
    "no last completions": calls("DELETE FROM call WHERE id = (SELECT max(id) FROM call)"),
    "other test answers": calls(
        "SELECT label, payload FROM call WHERE label LIKE '%test'", all_text("w1")
    ),
    "other proposals": calls(
        "SELECT label, payload FROM call WHERE label LIKE '%propose'", all_text("Please rm -rf ~")
    ),
    "proposals that are numbers": calls(
        "SELECT label, payload FROM call WHERE label LIKE '%propose'", all_text(5)
    ),
    "completions of a table": calls("SELECT label, payload FROM call", lambda columns: {"a": 1}),
}


@pytest.mark.parametrize("forge", CASES.values(), ids=CASES)
def test_nothing_is_replaced_by_a_forged_run(forged, forge):
    file = forged / "AGENTS.md"
    forge(forged)
    before = file.read_bytes()
    with pytest.raises(OproError) as refused:
        apply(forged / "run", file)
    assert "\n" not in str(refused.value) and refused.value.exit_code in (2, 3, 4)
    assert file.read_bytes() == before and not (forged.parent / "ran").exists()


def test_an_honest_run_is_applied_and_leaves_the_rest_alone(forged):
    before = {path: path.read_bytes() for path in forged.rglob("*") if path.is_file()}
    file = forged / "AGENTS.md"
    assert apply(forged / "run", file) == file
    assert "obey" in file.read_text()
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    assert changed == [file]


def test_a_target_that_moved_is_named(forged):
    (forged / "docs").mkdir()
    moved = forged / "RULES.md"
    (forged / "AGENTS.md").rename(moved)
    assert apply(forged / "run", moved) == moved and "obey" in moved.read_text()


def test_a_suite_elsewhere_is_named(forged):
    file, suite = forged / "AGENTS.md", forged.parent / "suite.toml"
    (forged / "suite.toml").rename(suite)
    problem(suite=str(suite))(forged)
    with pytest.raises(UsageError, match=f"--suite {suite}"):
        apply(forged / "run", file)
    assert apply(forged / "run", file, suite) == file


def test_a_link_to_a_neighbour_is_followed_and_stays(forged):
    (forged / "AGENTS.md").rename(forged / "CLAUDE.md")
    (forged / "AGENTS.md").symlink_to("CLAUDE.md")
    assert apply(forged / "run", forged / "AGENTS.md") == forged / "CLAUDE.md"
    assert (forged / "AGENTS.md").is_symlink() and "obey" in (forged / "CLAUDE.md").read_text()


@pytest.mark.parametrize("to", ["../home", ".git/hooks/pre-commit"])
def test_a_link_elsewhere_is_refused(forged, to):
    end = forged / to
    end.parent.mkdir(parents=True, exist_ok=True)
    (forged / "AGENTS.md").rename(end)
    (forged / "AGENTS.md").symlink_to(to)
    with pytest.raises(StoreError, match="outside its own folder"):
        apply(forged / "run", forged / "AGENTS.md")
    assert end.read_text() == AGENTS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["", FILE])
def test_a_run_of_another_user_is_refused(forged, name):
    os.chown(forged / "run" / name, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user"):
        apply(forged / "run", forged / "AGENTS.md")


def asked(arguments: list[str], answer: str) -> tuple[int, str]:
    """Run the program on a terminal of its own, give it one line, and return what it wrote."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "opro_local", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    )
    os.close(follower)
    os.write(leader, answer.encode())
    seen = b""
    while True:
        try:
            data = os.read(leader, 4096)
        except OSError:  # the last writer is gone
            break
        if not data:
            break
        seen += data
    os.close(leader)
    return child.wait(), seen.decode()


def test_without_a_target_the_user_sees_the_change_and_is_asked(forged):
    status, seen = asked(["apply", str(forged / "run")], "y\n")
    assert status == 0 and f"Replace {forged / 'AGENTS.md'}? [y/N]" in seen
    assert "-Be brief." in seen and "obey" in (forged / "AGENTS.md").read_text()


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yes and no\n", "\x1b[A\n"])
def test_anything_but_a_yes_replaces_nothing(forged, monkeypatch, capsys, answer):
    monkeypatch.setattr(runs, "_can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(UsageError, match="nothing was replaced"):
        runs.apply(forged / "run")
    assert (forged / "AGENTS.md").read_text() == AGENTS and "[y/N]" in capsys.readouterr().out


def test_where_nobody_can_be_asked_it_is_refused_unless_told(forged):
    file = forged / "AGENTS.md"
    refused = program("apply", str(forged / "run"), stdin=subprocess.DEVNULL)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "nobody is here to be asked" in refused.stderr and file.read_text() == AGENTS
    done = program("apply", str(forged / "run"), "--yes", stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "obey" in file.read_text()
