"""An import that replaces a model and a manifest that is written anew, killed at every step: what
was usable is so still, or the same command goes on; what is left is listed and can be taken away.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from model_folders import whole
from typer.testing import CliRunner

from opro_local.cli import models_import
from opro_local.cli.main import app
from opro_local.errors import LockedError, ModelError, StoreError, UsageError
from opro_local.models import gguf, importing
from opro_local.models.leftovers import leftovers
from opro_local.models.manifest import MANIFEST, read_manifest
from opro_local.models.sources import read_source
from opro_local.models.verification import verify_model

# What changes a folder, or puts it on disk; each call of one is a step.
STEPS = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync")


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a kill is no power cut
    return tmp_path / "models"


@pytest.fixture
def media(tmp_path) -> Path:
    return whole(tmp_path / "media" / "tiny")


def run(*words, **more):
    return CliRunner().invoke(app, ["models", *map(str, words)], **more)


def is_killed(step: int, call) -> bool:
    """Do something in a process of its own that is killed before a step; whether it came to it."""
    left = step

    def counted(was):
        def call(*given, **more):
            nonlocal left
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return was(*given, **more)

        return call

    child = os.fork()
    if child == 0:
        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            importing.THREADS = 1
            call()
        except BaseException:
            os._exit(1)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL)
    return ended != 0


def made(place: Path, words: str) -> str:
    """A model with a manifest, told from others by its card's words; the manifest's digest."""
    whole(place)
    (place / "README.md").write_text(words)
    manifest = importing.adopt(read_source(place, in_place=True), place.name, lambda count: None)
    return manifest.digest


def usable(place: Path) -> str | None:
    """The digest of a model's manifest, all of whose bytes are there; None where there is none."""
    if not place.exists():
        return None
    assert verify_model(place, lambda count: None).ok
    return read_manifest(place).digest


def copied(media: Path, models: Path) -> None:
    importing.copy_model(read_source(media), models / "tiny", True, lambda count: None)


def converted(media: Path, models: Path) -> None:
    importing.import_gguf(media / "README.md", models / "tiny", replace=True)


@pytest.fixture
def no_conversion(monkeypatch, tmp_path):
    """Any file is taken for GGUF, and converted to the same small model."""
    monkeypatch.setattr(gguf.gguf_header, "fault", lambda file: "")
    monkeypatch.setattr(gguf, "_dequantize", lambda file, folder: whole(folder) and None)


def adopted(place: Path) -> None:
    models_import._adopt(place, place, force=True, allow_pickle=False)


@pytest.mark.parametrize("replace", [copied, pytest.param(converted, marks=pytest.mark.long)])
def test_a_replacing_import_killed_at_any_step(media, models, tmp_path, no_conversion, replace):
    old = made(tmp_path / "old" / "tiny", "old")
    (media / "README.md").write_text("new")
    replace(media, models)
    new, target = usable(models / "tiny"), models / "tiny"
    assert new not in (old, None)
    seen, step, killed = set(), 0, True
    while killed:
        shutil.rmtree(models)
        shutil.copytree(tmp_path / "old", models)
        killed = is_killed(step, lambda: replace(media, models))
        state = usable(target)
        seen.add(state)
        assert state in (old, new, None)
        if state is None:  # between the two renames
            (left,) = leftovers()
            assert "puts the old tiny back" in left.state and left.size > 0
            shutil.copytree(models, tmp_path / "again")
            assert run("remove", ".tiny.importing", "--yes").exit_code == 0
            assert usable(target) == old and os.listdir(models) == ["tiny"]
            shutil.rmtree(models)
            (tmp_path / "again").rename(models)
        replace(media, models)
        assert usable(target) == new and os.listdir(models) == ["tiny"]
        step += 1
    assert seen == {old, new, None} and step > 15


def test_a_manifest_written_anew_killed_at_any_step(media, models):
    old = made(models / "tiny", "old")
    (models / "tiny" / "README.md").write_text("edited")
    shutil.copytree(models / "tiny", media.parent / "kept")
    step, killed, seen = 0, True, set()
    while killed:
        shutil.rmtree(models / "tiny")
        shutil.copytree(media.parent / "kept", models / "tiny")
        killed = is_killed(step, lambda: adopted(models / "tiny"))
        seen.add(read_manifest(models / "tiny").digest)
        adopted(models / "tiny")
        assert usable(models / "tiny") != old
        assert not list((models / "tiny").glob(".opro-*.part"))
        step += 1
    assert len(seen) == 2 and old in seen and step >= 3


def broken(*given, **more):
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("sources.whole", ModelError),
        ("sources.trust.check", ModelError),
        ("sources.names_in", OSError),
        ("importing.hash_files", ModelError),
        ("importing.write_manifest", StoreError),
        ("manifest.os.fsync", StoreError),
        ("manifest.os.replace", StoreError),
    ],
)
@pytest.mark.parametrize("kind", ["error", "ctrl-c"])
def test_a_manifest_stays_where_a_new_one_comes_to_nothing(models, monkeypatch, where, error, kind):
    old = made(models / "tiny", "old")
    names = sorted(os.listdir(models / "tiny"))

    def stopped(*given, **more):
        if kind == "ctrl-c":
            raise KeyboardInterrupt
        raise OSError(5, "Input/output error") if error is StoreError else error(5, "no")

    monkeypatch.setattr(f"opro_local.models.{where}", stopped)
    assert run("import", models / "tiny", "--force").exit_code != 0
    monkeypatch.undo()
    assert usable(models / "tiny") == old and sorted(os.listdir(models / "tiny")) == names


def test_a_manifest_that_can_not_be_read_is_written_anew(models):
    made(models / "tiny", "old")
    (models / "tiny" / MANIFEST).write_text("half")
    assert run("import", models / "tiny", "--force").exit_code == 0
    assert usable(models / "tiny")


@pytest.mark.parametrize("fault", [ModelError("no", "no"), OSError(28, "No space left on device")])
def test_a_conversion_that_fails_keeps_the_model_that_it_was_replacing(
    media, models, tmp_path, no_conversion, monkeypatch, fault
):
    """It was killed between the renames; now its source is bad."""
    (media / "README.md").write_text("new")
    old = made(models / "old", "old")
    (models / ".tiny.importing").mkdir()
    (models / "old").rename(models / ".tiny.importing" / "old")

    def fails(file, folder):
        raise fault

    monkeypatch.setattr(gguf, "_dequantize", fails)
    with pytest.raises((ModelError, StoreError)):
        converted(media, models)
    assert usable(models / "tiny") == old and os.listdir(models) == ["tiny"]


def test_without_force_what_comes_back_is_not_replaced(media, models):
    old = made(models / "old", "old")
    (models / ".tiny.importing").mkdir()
    (models / "old").rename(models / ".tiny.importing" / "old")
    told = run("import", media)
    assert isinstance(told.exception, UsageError) and "tiny is back" in str(told.exception)
    assert usable(models / "tiny") == old


def left(models: Path, name: str, *inner: str) -> Path:
    """A folder with 1,000 bytes in each inner folder, and a link to more, which does not count."""
    for one in inner or (".",):
        (models / name / one).mkdir(parents=True, exist_ok=True)
        (models / name / one / "x.bin").write_bytes(bytes(1000))
    (models / name / "link").symlink_to(models)
    return models / name


def test_leftovers_are_listed_one_line_each_and_removed(models):
    whole(models / "done")
    whole(models / "b")
    left(models, ".a.importing", "model")
    left(models, ".b.importing", "old")
    left(models, ".c.importing", "old", "gguf")
    left(models, ".d.removing")
    left(models, "owner/.e.removing")
    under_way = left(models, ".f.importing", "model")
    left(models, ".git", "x")
    (models / ".g.importing").write_text("a file")
    lock = os.open(under_way / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    again, remove = "the same import command goes on", "opro-local models remove"
    expected = {
        ".a.importing": f"an import of a that was stopped; {again}, {remove} .a.importing gives "
        "it up",
        ".b.importing": f"what a finished import of b left; {remove} .b.importing frees the space",
        ".c.importing": f"an import that was replacing c; {again}, {remove} .c.importing puts "
        "the old c back",
        ".d.removing": f"a removal of d that was stopped; {remove} .d.removing ends it",
        ".f.importing": "an import of f that is under way",
        "owner/.e.removing": f"a removal of e that was stopped; {remove} owner/.e.removing ends it",
    }
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert {n: row["state"] for n, row in rows.items() if row["form"] == "leftover"} == expected
    assert [rows[name]["bytes"] for name in expected] == [1000, 1000, 2000, 1000, 1000, 1000]
    lines = run("list").stdout.splitlines()
    assert "7.0 kB that are no model:" in lines
    for name, state in expected.items():
        size = "2.0 kB" if name == ".c.importing" else "1.0 kB"
        assert f"{name} ({size}): {state}" in lines
    assert not any("importing" in line or "removing" in line for line in lines[:3])
    assert isinstance(run("remove", ".f.importing", "--yes").exception, LockedError)
    os.close(lock)
    assert ".a.importing" in str(run("show", "a").exception)
    for name in expected:
        assert run("remove", name, "--yes").exit_code == 0
    assert sorted(os.listdir(models)) == [".g.importing", ".git", "b", "c", "done", "owner"]
    assert os.listdir(models / "owner") == [] and os.listdir(models / "c") == ["x.bin"]


def test_without_leftovers_nothing_is_said(models):
    whole(models / "done")
    assert "no model" not in run("list").stdout
