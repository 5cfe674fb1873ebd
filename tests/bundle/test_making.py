"""Making a bundle: what comes in, what it says of itself, and going on after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_making import PLATFORM, PYTHON, empty_lock, pip_wheel, tiny_bundle, tiny_request, wheel
from running import program

from opro_local.bundle import licences, making, sbom, wheels
from opro_local.bundle.lock import Site, Wheel
from opro_local.bundle.request import files_below, request
from opro_local.errors import DataError, LockedError, ModelError, StoreError, UsageError
from opro_local.files import alone
from opro_local.models.verification import verify_model


def silent(line: str) -> None:
    """Progress that nobody reads."""


def test_a_bundle_holds_what_was_asked_for(tmp_path, monkeypatch):
    made = tiny_bundle(tmp_path, monkeypatch)
    there = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    assert there == {
        *("BUNDLE.json", "SHA256SUMS", "requirements.txt", "install.sh", "verify.py"),
        *("wheels/tiny_one-1.0-py3-none-any.whl", "wheels/opro_local-1.0-py3-none-any.whl"),
        *(f"models/tiny-model/model-0000{i}.safetensors" for i in (1, 2)),
        *(
            "models/tiny-model/config.json",
            "models/tiny-model/.opro-manifest.json",
            "data/rows.csv",
            "licences/index.json",
        ),
        *("licences/tiny-one-1.0/LICENSE", "licences/opro-local-1.0/LICENSE"),
    }
    head = json.loads((made.folder / "BUNDLE.json").read_text())
    assert (head["python"], head["machine"], head["glibc"]) == (PYTHON, platform.machine(), 17)
    digest = hashlib.sha256((made.folder / "wheels/tiny_one-1.0-py3-none-any.whl").read_bytes())
    pins = (made.folder / "requirements.txt").read_text().splitlines()
    assert len(pins) == 2 and pins[1] == f"tiny-one==1.0 --hash=sha256:{digest.hexdigest()}"
    assert made.bytes == sum((made.folder / name).stat().st_size for name in there)


def test_the_same_request_goes_on_and_another_is_refused(tmp_path, monkeypatch):
    first = tiny_bundle(tmp_path, monkeypatch)
    (first.folder / "data" / "rows.csv").unlink()
    again = tiny_bundle(tmp_path, monkeypatch)
    assert again.sums == first.sums
    more = wheel(tmp_path / "source" / "wheels", "tiny_two")
    with pytest.raises(UsageError, match="was begun with another wheels; name another --output"):
        tiny_bundle(tmp_path, monkeypatch, more)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.tex").write_text("all of it")
    with pytest.raises(UsageError, match=r"bundle: holds thesis\.tex; name an empty folder"):
        tiny_bundle(tmp_path, monkeypatch)
    assert (tmp_path / "bundle" / "thesis.tex").read_text() == "all of it"


def test_a_model_comes_with_a_manifest_and_a_damaged_one_does_not_come(tmp_path, monkeypatch):
    made = tiny_bundle(tmp_path, monkeypatch)
    assert verify_model(made.folder / "models" / "tiny-model").ok
    model = tmp_path / "source" / "model"
    shutil.copy(made.folder / "models/tiny-model/.opro-manifest.json", model)
    (model / "config.json").write_bytes(b"changed since")
    with pytest.raises(ModelError, match=r"source/model/config\.json: "):
        making._bring_model("tiny-model", model, tmp_path / "copy")


def test_an_unfinished_bundle_is_none(tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(making, "_write_lists", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny_bundle(tmp_path, patch)
    assert making.damage(tmp_path / "bundle") == [("SHA256SUMS", "is missing")]
    assert making.damage(tiny_bundle(tmp_path, monkeypatch).folder) == []


def test_one_process_makes_a_bundle(tmp_path, monkeypatch):
    empty_lock(tmp_path / "locks", monkeypatch)
    (tmp_path / "bundle").mkdir()
    held = alone(tmp_path / "bundle" / making.LOCK, "", "")
    with held, pytest.raises(LockedError, match="another process is making this bundle"):
        making.make(tiny_request(tmp_path), tmp_path / "bundle", silent, with_sbom=False)


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(tmp_path, monkeypatch):
    files = [["huge-1-py3-none-any.whl", 10**16, "0" * 64]]
    package = {"name": "huge", "version": "1", "marker": "", "extras": [], "files": files}
    empty_lock(tmp_path / "locks", monkeypatch, (package,))
    with pytest.raises(StoreError, match=r"bundle: 10000000\.0 GB are needed and .* are free"):
        making.make(tiny_request(tmp_path), tmp_path / "bundle", silent, with_sbom=False)


def locked(folder: Path, count: int) -> list[Wheel]:
    """Wheels of a made-up index."""
    found = []
    for i in range(count):
        path = wheel(folder, f"tiny_{i}")
        sha256 = wheels.sha256_of(path)
        found.append(Wheel(f"tiny-{i}", "1.0", path.name, path.stat().st_size, sha256))
    return found


def test_fetching_goes_on_where_it_stopped(tmp_path, monkeypatch):
    wanted = locked(tmp_path / "index", 5)
    asked: list[list[str]] = []

    def download(group, part, site):
        asked.append([each.package for each in group])
        if len(asked) == 2:
            raise DataError("the line broke")
        for each in group:
            (part / each.name).write_bytes((tmp_path / "index" / each.name).read_bytes())

    monkeypatch.setattr(wheels, "_download", download)
    monkeypatch.setattr(wheels, "MOST", 2)
    site, house = Site("cpu", PYTHON, PLATFORM), tmp_path / "wheels"
    with pytest.raises(DataError):
        wheels.fetch(wanted, house, site, silent)
    (house / wanted[0].name).write_bytes(b"damaged since")
    (tmp_path / ".part" / "half.whl").touch()
    wheels.fetch(wanted, house, site, silent)
    assert asked[2:] == [["tiny-0", "tiny-2"], ["tiny-3", "tiny-4"]]
    assert all(wheels.is_there(each, house) for each in wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "wheels"]


@pytest.mark.long
def test_pip_fetches_from_where_it_is_set_to_and_only_the_locked_bytes(tmp_path, monkeypatch):
    wanted = locked(tmp_path / "index", 2)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    site = Site("cpu", PYTHON, PLATFORM)
    wheels.fetch(wanted, tmp_path / "wheels", site, silent)
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == [w.name for w in wanted]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "wheels"]
    other = Wheel("tiny-0", "1.0", wanted[0].name, wanted[0].bytes, "0" * 64)
    with pytest.raises(DataError, match="the packages were not fetched") as error:
        wheels.fetch([other], tmp_path / "more", site, silent)
    assert "the same command goes on" in str(error.value)


@pytest.mark.parametrize(
    ("name", "fields", "licence", "kind"),
    [
        ("a", {"License-Expression": "Apache-2.0 AND MIT"}, "Apache-2.0 AND MIT", "allowed"),
        ("a", {"Classifier": "License :: OSI Approved :: BSD License"}, "BSD License", "allowed"),
        ("a", {"License": "MIT License\n\nCopyright ..."}, "MIT License", "allowed"),
        ("a", {"License": "MPL-2.0"}, "MPL-2.0", "allowed"),
        ("a", {}, "", "unread"),
        ("a", {"License": "UNKNOWN"}, "", "unread"),
        ("a", {"License": "see the website"}, "see the website", "unread"),
        (
            "nvidia-cublas",
            {"License": "NVIDIA Proprietary Software"},
            "NVIDIA Proprietary Software",
            "restricted",
        ),
        ("nvidia-x", {}, "", "restricted"),
        ("nvidia-cudnn-frontend", {"License-Expression": "MIT"}, "MIT", "allowed"),
        (
            "cuda-tile",
            {"License-Expression": "LicenseRef-NVIDIA-SLA"},
            "LicenseRef-NVIDIA-SLA",
            "restricted",
        ),
        (
            "a",
            {"Classifier": "License :: Other/Proprietary License"},
            "Other/Proprietary License",
            "restricted",
        ),
        ("a", {"License": "CC-BY-NC-4.0"}, "CC-BY-NC-4.0", "restricted"),
    ],
)
def test_a_licence_is_read_as_packages_say_it(name, fields, licence, kind):
    from email.message import Message

    described = Message()
    for key, value in fields.items():
        described[key] = value
    said = licences.licence_of(described)
    assert (said, licences.redistribution(name, said)) == (licence, kind)


def test_what_may_not_be_passed_on_is_named(tmp_path, monkeypatch):
    place = tmp_path / "source" / "wheels"
    made = tiny_bundle(
        *(tmp_path, monkeypatch, wheel(place, "nvidia_x", "NVIDIA Proprietary Software")),
        *(wheel(place, "odd", ""),),
    )
    assert made.head["not_redistributable"] == ["nvidia-x"]
    assert made.licences == {
        **{"allowed": 2, "restricted": 1, "unread": 2},
        "unread_names": ["odd", "tiny-model"],
    }


@pytest.mark.parametrize(
    ("lay", "says"),
    [
        (lambda f: os.mkfifo(f / "pipe"), "pipe: is no regular file"),
        (lambda f: (f / "gone").symlink_to("/nowhere"), "gone: a link that leads to nothing"),
        (lambda f: (f / "etc").symlink_to("/etc"), "etc: a link to a folder"),
        (lambda f: None, "rows: holds no file"),
    ],
)
def test_what_can_not_be_copied_is_refused_not_left_out(tmp_path, lay, says):
    folder = tmp_path / "rows"
    folder.mkdir()
    lay(folder)
    with pytest.raises(DataError, match=says):
        files_below(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": ["nowhere.csv"]}, "nowhere.csv: there is no such file or folder"),
        ({"wheels": ["notes.txt"]}, "notes.txt: is no wheel by its name"),
        ({"data": ["a/x", "b/x"]}, "'x' comes twice"),
    ],
)
def test_a_request_is_refused_before_anything_is_made(tmp_path, monkeypatch, change, says):
    empty_lock(tmp_path / "locks", monkeypatch)
    for name in ("notes.txt", "a/x", "b/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = {key: [tmp_path / name for name in names] for key, names in change.items()}
    with pytest.raises((UsageError, DataError)) as error:
        request(Site("cpu", PYTHON, PLATFORM), **paths)
    assert says in str(error.value)


def test_without_cyclonedx_a_list_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"cyclonedx-py is not installed.*opro-local\[bundle\]"):
        sbom.program()


def test_the_list_names_every_distribution(tmp_path):
    try:
        sbom.program()
    except UsageError as error:
        pytest.skip(str(error))
    pins = tmp_path / "requirements.txt"
    pins.write_text(f"Tiny.One==1.0 --hash=sha256:{'0' * 64}\ntwo==2.0 --hash=sha256:{'1' * 64}\n")
    rows = {"tiny-one": licences.Licence("Tiny.One", "1.0", "MIT", "allowed")}
    assert sbom.write(pins, tmp_path / "sbom.json", rows) == 2
    (one, two) = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert (one["name"], one["version"], one["licenses"]) == (
        "Tiny.One",
        "1.0",
        [{"license": {"name": "MIT"}}],
    )
    assert (two["purl"], "licenses" in two) == ("pkg:pypi/two@2.0", False)


def test_a_dry_run_says_parts_and_bytes_offline(tmp_path):
    told = program(
        *("bundle", "--target", "cpu", "--python", "3.11", "--output", str(tmp_path / "b")),
        *("--dry-run", "--json"),
        env=os.environ | {"PIP_NO_INDEX": "1", "PATH": "/nowhere"},
    )
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    parts = {part["name"]: part["bytes"] for part in said["parts"]}
    assert parts["packages"] > 500_000_000 and said["bytes"] == sum(parts.values())
    assert not (tmp_path / "b").exists()


def test_the_verb_verifies(tmp_path, monkeypatch):
    made = tiny_bundle(tmp_path, monkeypatch)
    (made.folder / "data" / "rows.csv").write_text("changed")
    told = program("bundle", "verify", str(made.folder), "--json")
    assert told.returncode == 4, told.stderr
    assert json.loads(told.stdout)["damaged"][0]["file"] == "data/rows.csv"


@pytest.mark.long
def test_a_bundle_installs_with_python_and_itself_only(tmp_path, monkeypatch):
    """In pieces, with an empty home and a pip that is set to something else."""
    from opro_local.bundle import pieces

    made = tiny_bundle(tmp_path, monkeypatch, pip_wheel())
    folder = pieces.split(made.folder, 1 << 20)
    home = tmp_path / "home"
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_REQUIRE_VIRTUALENV": "1"}
    env |= {"PIP_INDEX_URL": "file:///nowhere", "PYTHONPATH": "/nowhere"}
    prefix = tmp_path / "far side" / "it's here"
    command = ["sh", str(folder / "install.sh"), "--prefix", str(prefix)]
    command += ["--python", sys.executable, "--expect", made.sums]
    told = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=200)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-2:] == ["tiny --version", f"done: {prefix}/opro-local demo"]
    shard = prefix / "share/opro-local/models/tiny-model/model-00001.safetensors"
    assert shard.read_bytes() == b"model-00001.safetensors" * 100
    again = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=200)
    assert again.returncode == 2 and "something is installed there" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prefix"], "usage: sh install.sh"),
        (["--force", "x"], "--force is unknown; usage"),
        (["--python", "/nowhere/python"], "/nowhere/python has no module venv"),
    ],
)
def test_the_installer_refuses_in_one_line(tmp_path, monkeypatch, arguments, says):
    made = tiny_bundle(tmp_path, monkeypatch)
    command = ["sh", str(made.folder / "install.sh"), *arguments]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert told.returncode == 2 and says in told.stderr and len(told.stderr.splitlines()) == 1
