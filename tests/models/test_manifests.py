"""A model is imported with a manifest, whole or not at all; every damage to it is named by file."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
from model_folders import safetensors, whole
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.errors import ModelError, OproError, UsageError
from opro_local.models import importing, manifest, offline, sources, verification
from opro_local.models.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from opro_local.models.pickles import find_pickle

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


class Calls:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


EVIL = pickle.dumps(Calls(os.system, "true"))
TEXT_EVIL = pickle.dumps(Calls(os.system, "true"), protocol=0)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A model of two shards in a folder of its own; the models folder is another one."""
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    place = whole(tmp_path / "media" / "tiny")
    (place / "model.safetensors").unlink()
    for number, name in enumerate(SHARDS):
        (place / name).write_bytes(safetensors((f"w{number}",)))
    (place / "modeling_x.py").write_text("x = 1\n")
    return place


@pytest.fixture
def models(tmp_path) -> Path:
    return tmp_path / "models"


def run(*words, **more):
    return CliRunner().invoke(app, ["models", *map(str, words)], **more)


@pytest.fixture
def imported(folder, models) -> Path:
    assert run("import", folder).exit_code == 0
    return models / "tiny"


def names(place) -> list[str]:
    return sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if not p.is_dir())


def test_the_manifest_lists_every_file_with_size_and_sha256(folder, imported):
    listed = {file.name: file for file in read_manifest(imported).files}
    assert sorted(listed) == names(folder) == [n for n in names(imported) if n != MANIFEST]
    for name, file in listed.items():
        content = (folder / name).read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    written = (imported / MANIFEST).read_bytes()
    canonical = json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"))
    assert written == canonical.encode() + b"\n"
    assert str(folder) not in written.decode()
    told = run("verify", "tiny", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout) | {"manifest": 0} == {
        "ok": True,
        "damaged": [],
        "files": 5,
        "bytes": sum(file.size for file in listed.values()),
        "manifest": 0,
    }


def test_a_manifest_changes_no_digest_of_a_run(folder, imported):
    assert offline.model_digest(folder) == offline.model_digest(imported)


def flip(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def edit(place, **changes):
    """Change a field of the first file in the manifest, and leave its digest alone."""
    content = json.loads((place / MANIFEST).read_text())
    content["files"][0] |= changes
    (place / MANIFEST).write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")


def replace_by_link(file, end):
    end.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(end)


def resealed(place, content):
    """A file of other content, and a manifest that fits it, by somebody who knows the format."""
    (place / "notes.md").write_bytes(content)
    files = importing.hash_files(place, [n for n in names(place) if n != MANIFEST])
    write_manifest(place, Manifest("tiny", "folder", tuple(files)))


def fifo(place):
    (place / "tokenizer.json").unlink()
    os.mkfifo(place / "tokenizer.json")


# name: what is done to an imported folder, the file that is named, what is said of it
DAMAGES = {
    "a flipped byte": (lambda p: flip(p / SHARDS[1]), SHARDS[1], "other bytes"),
    "a flipped byte in a small file": (lambda p: flip(p / "config.json"), "config.json", "other"),
    "a cut file": (lambda p: os.truncate(p / SHARDS[0], 20), SHARDS[0], "20 bytes instead of"),
    "a longer file": (lambda p: (p / SHARDS[0]).open("a").write("x"), SHARDS[0], "instead of"),
    "a missing shard": (lambda p: (p / SHARDS[0]).unlink(), SHARDS[0], "missing"),
    "a missing tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json", "missing"),
    "an added file": (lambda p: (p / "x.py").write_text("1"), "x.py", "added"),
    "an added hidden file": (lambda p: (p / ".x").write_text("1"), ".x", "added"),
    "an added file in a new folder": (
        lambda p: ((p / "a").mkdir(), (p / "a" / "b.json").write_text("1")),
        "a/b.json",
        "added",
    ),
    "a link out of the folder": (
        lambda p: replace_by_link(p / SHARDS[0], p.parent / "elsewhere"),
        SHARDS[0],
        "leads out of the folder",
    ),
    "a link in the folder": (
        lambda p: replace_by_link(p / "config.json", p / "other.json"),
        "config.json",
        "a link that leads in the folder",
    ),
    "a linked folder": (lambda p: (p / "a").symlink_to("/usr"), "a", "leads out of the folder"),
    "a pickle under another name": (lambda p: resealed(p, EVIL), "notes.md", "posix.system"),
    "a pickle of plain data": (
        lambda p: resealed(p, pickle.dumps([1.0])),
        "notes.md",
        "a pickle under another name",
    ),
    "a FIFO": (fifo, "tokenizer.json", "no regular file"),
    "a manifest's size edited": (lambda p: edit(p, size=1), MANIFEST, "its digest does not fit"),
    "a manifest's digest edited": (lambda p: edit(p, sha256="0" * 64), MANIFEST, "does not fit"),
    "a manifest's name edited": (lambda p: edit(p, name="../x"), MANIFEST, "leads out"),
    "a manifest cut off": (lambda p: os.truncate(p / MANIFEST, 40), MANIFEST, "no readable"),
    "a manifest that is a link": (
        lambda p: replace_by_link(p / MANIFEST, p.parent / "m"),
        MANIFEST,
        "a link",
    ),
    "a manifest of another version": (
        lambda p: (p / MANIFEST).write_text('{"format": 9}'),
        MANIFEST,
        "of format 9",
    ),
    "no manifest": (lambda p: (p / MANIFEST).unlink(), MANIFEST, "there is none"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_and_the_file_named(imported, damage):
    do, file, what = DAMAGES[damage]
    do(imported)
    told = run("verify", "tiny", "--json")
    came = json.loads(told.stdout)
    named = {one["file"]: one["what"] for one in came["damaged"]}
    assert told.exit_code == 3 and came["ok"] is False
    assert what in named[file], named
    assert named.keys() <= {file, "other.json"}
    assert file in run("verify", "tiny").stdout


def without_safetensors(place, content):
    for name in SHARDS:
        (place / name).unlink()
    (place / "pytorch_model.bin").write_bytes(content)


def zipped(content, name="archive/data.pkl"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


# What is done to a folder before it is imported, the file that is named, what is said of it.
SOURCES = {
    "a link out": (
        lambda p: replace_by_link(p / "tokenizer.json", p.parent / "t"),
        "tokenizer.json",
        "leads out of the folder",
    ),
    "a missing shard": (lambda p: (p / SHARDS[1]).unlink(), SHARDS[1], "missing"),
    "a pickle as a licence": (
        lambda p: (p / "LICENSE").write_bytes(EVIL),
        "LICENSE",
        "posix.system",
    ),
    "a pickle as weights": (
        lambda p: (p / SHARDS[1]).write_bytes(EVIL),
        SHARDS[1],
        "a pickle that calls posix.system",
    ),
    "a pickle as a tokenizer": (
        lambda p: (p / "tokenizer.json").write_bytes(TEXT_EVIL),
        "tokenizer.json",
        "posix.system",
    ),
    "pickles only": (
        lambda p: without_safetensors(p, zipped(pickle.dumps(OrderedDict()))),
        "pytorch_model.bin",
        "its weights are pickles",
    ),
    "a FIFO": (fifo, "tokenizer.json", "is no regular file"),
}


@pytest.mark.parametrize("fault", SOURCES)
def test_a_folder_that_is_not_to_be_had_is_refused(folder, models, fault):
    do, file, what = SOURCES[fault]
    do(folder)
    told = run("import", folder)
    assert isinstance(told.exception, ModelError), told
    message = str(told.exception)
    assert file in message and what in message
    assert not models.exists() or names(models) == []


def test_pickled_weights_are_taken_on_demand_if_they_only_make_tensors(folder, models):
    without_safetensors(folder, zipped(pickle.dumps(OrderedDict())))
    assert run("import", folder, "--allow-pickle").exit_code == 0
    assert run("verify", "tiny").exit_code == 0
    (folder / "pytorch_model.bin").write_bytes(zipped(EVIL))
    told = run("import", folder, "--allow-pickle", "--force")
    assert "pickle that calls posix.system (in its member archive/data.pkl)" in str(told.exception)
    assert "pytorch_model.bin" in str(told.exception)
    assert run("verify", "tiny").exit_code == 0  # the old one stayed


def test_what_no_engine_reads_is_left_out_and_said(folder, models):
    (folder / "pytorch_model.bin").write_bytes(zipped(pickle.dumps(OrderedDict())))
    (folder / "flax_model.msgpack").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("1")
    told = run("import", folder, "--name", "other")
    assert "left out: pytorch_model.bin" in told.stdout
    assert "left out: flax_model.msgpack" in told.stdout and ".cache" not in told.stdout
    assert names(models / "other") == sorted(
        [MANIFEST, *SHARDS, "config.json", "modeling_x.py", "tokenizer.json"]
    )


def test_a_folder_with_a_manifest_is_held_to_it(imported, models):
    """As it comes over the air gap: `models import` on the far side is a check, too."""
    told = run("import", imported, "--name", "second")
    assert told.exit_code == 0, told
    assert (models / "second" / MANIFEST).read_bytes() != b""
    flip(imported / SHARDS[0])
    told = run("import", imported, "--name", "third")
    assert f"{SHARDS[0]}: other bytes than its manifest says" in str(told.exception)
    (imported / "more.json").write_text("{}")
    told = run("import", imported, "--name", "third")
    assert "more.json: added after the manifest" in str(told.exception)
    assert not (models / "third").exists()


def cached(tmp_path, folder, flipped=False) -> str:
    """An entry of the hub's cache with the files of a folder."""
    repository = tmp_path / "hub" / "models--who--tiny"
    snapshot = repository / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name in names(folder):
        content = (folder / name).read_bytes()
        is_large = name.endswith("safetensors")
        git = hashlib.sha1(b"blob %d\0" % len(content) + content)
        blob = (hashlib.sha256(content) if is_large else git).hexdigest()
        (repository / "blobs" / blob).write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
        if flipped and name == flipped:
            flip(repository / "blobs" / blob)
    return "who/tiny"


def test_an_entry_of_the_hubs_cache(tmp_path, folder, models, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert run("import", cached(tmp_path, folder)).exit_code == 0
    assert read_manifest(models / "tiny").source == f"hub who/tiny@{'c' * 40}"
    assert not any((models / "tiny" / name).is_symlink() for name in names(models / "tiny"))
    assert run("verify", "tiny").exit_code == 0


@pytest.mark.parametrize("name", [SHARDS[0], "config.json"])
def test_the_cache_names_the_digest_of_each_file(tmp_path, folder, models, monkeypatch, name):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    reference = cached(tmp_path, folder, flipped=name)
    if name == "config.json":  # a flipped space is JSON no more; a longer one is
        blob = (tmp_path / "hub/models--who--tiny/snapshots" / ("c" * 40) / name).resolve()
        blob.write_text((folder / name).read_text() + " ")
    told = run("import", reference)
    assert f"{'blobs'}/" in str(told.exception) and "other bytes than" in str(told.exception)


def test_a_folder_in_its_place_gets_a_manifest_without_a_copy(folder, models):
    models.mkdir()
    place = folder.rename(models / "tiny")
    before = (place / SHARDS[0]).stat().st_ino
    assert run("import", place).exit_code == 0
    assert (place / SHARDS[0]).stat().st_ino == before
    assert run("verify", "tiny").exit_code == 0
    assert "has a manifest already" in run("import", place).stdout


KILLED = """
import os, signal, sys
from pathlib import Path
from opro_local.models import importing, sources
count, was = 0, importing._copy
def copy(file, half, progress):
    global count
    count += 1
    if count == 3:
        (half / (file.name + ".part")).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return was(file, half, progress)
importing._copy, importing.THREADS = copy, 1
importing.copy_model(sources.read_source(Path(sys.argv[1])), Path(sys.argv[2]), False, lambda n: None)
"""


def test_a_killed_import_goes_on_and_shows_no_half_model(folder, models, monkeypatch):
    command = [sys.executable, "-c", KILLED, str(folder), str(models / "tiny")]
    assert subprocess.run(command, timeout=60).returncode == -9
    assert not (models / "tiny").exists()
    copied: list[str] = []
    copy = importing._copy
    monkeypatch.setattr(
        importing, "_copy", lambda file, *more: (copied.append(file.name), copy(file, *more))[1]
    )
    assert run("list").exit_code == 0
    assert run("import", folder).exit_code == 0
    assert len(copied) == 3 and run("verify", "tiny").exit_code == 0
    assert [p.name for p in models.iterdir()] == ["tiny"]


def test_a_source_that_changed_since_a_kill_is_copied_again(folder, models):
    command = [sys.executable, "-c", KILLED, str(folder), str(models / "tiny")]
    assert subprocess.run(command, timeout=60).returncode == -9
    for name in names(folder):
        if name.endswith("safetensors"):
            flip(folder / name)
    assert run("import", folder).exit_code == 0
    assert all(
        (models / "tiny" / n).read_bytes() == (folder / n).read_bytes() for n in names(folder)
    )
    assert run("verify", "tiny").exit_code == 0


def test_list_and_show(imported):
    (imported.parent / "empty").mkdir()
    rows = json.loads(run("list", "--json").stdout)
    here = {row["name"]: row for row in rows if row["path"]}
    assert here["tiny"]["form"] == "safetensors F16" and here["tiny"]["state"] == "manifest"
    assert "an empty folder" in here["empty"]["state"]
    assert any(row["name"] == "qwen3-8b" and row["path"] is None for row in rows)
    facts = json.loads(run("show", "tiny", "--json").stdout)
    assert facts["manifest"]["files"] == 5 and facts["card"] is None and facts["license"] is None
    assert "none: " not in run("show", "tiny").stdout
    assert "there are: empty, tiny" in str(run("show", "none").exception)


def test_remove_asks_and_takes_the_model_alone(imported, models, tmp_path):
    assert "give --yes" in str(run("remove", "tiny").exception) and imported.exists()
    other = models / "other"
    other.symlink_to("tiny")
    assert f"{other} is a link to it" in str(run("remove", "tiny", "--yes").exception)
    assert run("remove", "other", "--yes").exit_code == 0 and imported.exists()
    assert not os.path.lexists(other)
    outside = tmp_path / "outside"
    outside.mkdir()
    (models / "owner").symlink_to(outside)
    (outside / "m").mkdir()
    (outside / "m" / "config.json").write_text("{}")
    assert "not in" in str(run("remove", "owner/m", "--yes").exception)
    assert run("remove", "tiny", "--yes").exit_code == 0
    assert sorted(p.name for p in models.iterdir()) == ["owner"] and (outside / "m").exists()


PATHS = ("..", "../media/tiny", "/etc", ".")


@pytest.mark.parametrize("name", ["", "a/../b", *PATHS])
def test_a_name_that_leads_elsewhere_is_refused(imported, name):
    assert isinstance(run("remove", name, "--yes").exception, UsageError)
    assert imported.exists()
    for verb in ("verify", "show"):  # take a path too, and find no model there
        told = run(verb, name)
        assert told.exit_code != 0, (verb, told)
        assert name in PATHS or isinstance(told.exception, UsageError), (verb, told)


def tarred(content):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("storages")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


MEMOIZED = pickle.dumps([Calls(os.system, "true"), Calls(os.system, "x")], protocol=4)
PICKLES = {
    **{f"protocol {n}": pickle.dumps(Calls(os.system, "x"), protocol=n) for n in range(6)},
    "damaged behind its call": TEXT_EVIL[:-1] + b"\x00\x01",
    "a second pickle": pickle.dumps(1) + EVIL,
    "in a zip": zipped(EVIL),
    "in a zip in a zip": zipped(zipped(EVIL, "a"), "b"),
    "in a tar": tarred(EVIL),
    "in gzip": gzip.compress(EVIL),
    "in bzip2": bz2.compress(EVIL),
    "with names from its memo": MEMOIZED,
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_is_found_by_what_it_holds(tmp_path, kind):
    (tmp_path / "x.json").write_bytes(PICKLES[kind])
    assert "posix.system" in find_pickle(tmp_path / "x.json").foreign


@pytest.mark.parametrize(
    "text", ["", "{}", "cat\ndog\nbed\n", "c.", "N.", "I1\n.", "(a.b)", "import os\n", "# x\n."]
)
def test_text_is_no_pickle(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert find_pickle(tmp_path / "x") is None


@pytest.mark.long  # imports torch, which takes seconds
def test_the_weights_of_torch_call_nothing_foreign(tmp_path):
    torch = pytest.importorskip("torch")
    weights = {"w": torch.zeros(3, dtype=torch.float16), "b": torch.nn.Parameter(torch.ones(2))}
    for name, form in (("zip", True), ("legacy", False)):
        torch.save(weights, tmp_path / name, _use_new_zipfile_serialization=form)
        assert find_pickle(tmp_path / name).foreign == ()
    torch.save(Calls(os.system, "true"), tmp_path / "evil", _use_new_zipfile_serialization=False)
    assert "posix.system" in find_pickle(tmp_path / "evil").foreign


def test_a_full_disk_is_said_before_anything_is_copied(folder, models, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda path: usage)
    told = run("import", folder)
    assert isinstance(told.exception, OproError) and told.exception.exit_code == 4
    assert "bytes are needed and 10 are free" in str(told.exception)
    assert not (models / "tiny").exists()


def test_an_interrupted_copy_stops_within_a_block(folder, models, monkeypatch):
    """What is interrupted in one thread stops the others too, rather than at their files' ends."""
    monkeypatch.setattr(importing, "BLOCK", 1)

    def interrupt(count):
        if count:
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        importing.copy_model(sources.read_source(folder), models / "tiny", False, interrupt)
    assert time.monotonic() - begun < 20 and not (models / "tiny").exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("begins", [True, False])
def test_a_file_that_can_not_be_read_is_damage_and_no_traceback(
    imported, monkeypatch, number, begins
):
    class Broken:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def read(self, size):
            raise OSError(number, os.strerror(number))

    real = manifest.open_regular

    def opened(path):
        if path.name != SHARDS[0]:
            return real(path)
        if begins:
            return Broken()
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(manifest, "open_regular", opened)
    came = verification.verify_model(imported)
    (damage,) = came.damaged
    assert damage.file == SHARDS[0] and f"can't be read: {os.strerror(number)}" in damage.what
