"""Every line of the doctor's, on machines that are made up."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from running import ROOT
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.doctor import checks, graphics, machine, surroundings
from opro_local.doctor.finding import Finding, fine
from opro_local.doctor.machine import Machine, Nvidia, Place
from opro_local.models import inventory
from opro_local.models.inventory import Inventory
from opro_local.network import SWITCHES

GIB = 1 << 30
NOW = 1_796_000_000.0  # November 2026
H100 = "NVIDIA H100 80GB HBM3, 580.95.05, 9.0, 81559, 81079, GPU-1\n"
BANNER = "| NVIDIA-SMI 580.95.05    Driver Version: 580.95.05    CUDA Version: 13.0     |\n"
CUDA_PACKAGES = {
    "python": "3.12.1",
    "torch": "2.13.0+cu130",
    "vllm": "0.30.0",
    "transformers": "5.1",
}
PLACES = tuple(
    Place(name, f"/{name}", 500 * GIB, 100 * GIB)
    for name in ("runs", "models", "cache", "temporary files")
)
SHARED = Place("shared memory", "/dev/shm", 8 * GIB, 8 * GIB)
MODEL = Inventory("tiny", Path("/models/tiny"), GIB, "safetensors BF16", "manifest", False)
GOOD = Machine(
    nvidia=Nvidia(gpus=H100, banner=BANNER),
    devices=("nvidia0",),
    visible=None,
    versions=CUDA_PACKAGES,
    pinned_torch="2.13.0",
    memory=64 * GIB,
    shared=SHARED,
    places=PLACES,
    now=NOW,
    made=NOW - 1000,
    environment=dict(SWITCHES),
    guarded=False,
    models=(MODEL,),
)


def place(name: str, **changes) -> dict:
    """A machine's places with one of them changed."""
    changed = [replace(each, **changes) if each.name == name else each for each in PLACES]
    return {"places": tuple(changed)}


def smi(gpus: str = H100, holders: str = "", banner: str = BANNER, error: str = "") -> dict:
    return {"nvidia": Nvidia(gpus, holders, banner, error)}


def model(**changes) -> dict:
    return {"models": (replace(MODEL, **changes),)}


def packages(**changes) -> dict:
    """The packages of a GPU machine with some changed; None is one that is not installed."""
    names = {name.replace("_", "-"): version for name, version in changes.items()}
    versions = {**CUDA_PACKAGES, **names}
    return {"versions": {name: v for name, v in versions.items() if v is not None}}


NO_GPU = {"nvidia": None, "devices": ()}
OLD = H100.replace("580.95.05", "550.54.15")
OLD_BANNER = BANNER.replace("13.0", "12.4")
T4 = "Tesla T4, 580.95.05, 7.5, 15360, 15100, GPU-2\n"
V100 = "Tesla V100, 580.95.05, 7.0, 16384, 16380, GPU-3\n"
MIG = "NVIDIA H100 MIG, a, 580.95.05, [N/A], [N/A], [N/A], GPU-4\n"
HELD = H100.replace("81079", "20000")
HOLDER = "GPU-1, 4711, /usr/bin/python3, vllm, 61000\nGPU-9, 1, other, 5\n"
UNSET = {name: value for name, value in SWITCHES.items() if name != "HF_HUB_OFFLINE"}

# what is changed on a good machine; the finding's name and state; parts of its text
CASES = {
    "a GPU": ({}, "gpu", "ok", r"NVIDIA H100 80GB HBM3 \(79.6 GiB\)"),
    "no GPU": (NO_GPU, "gpu", "warning", "no NVIDIA GPU here .*slow; take"),
    "a container without the toolkit": (
        {"nvidia": None},
        "gpu",
        "warning",
        "nvidia0.*nvidia-smi is not.*--gpus all",
    ),
    "driver mismatch": (
        smi(gpus="", error="Failed to initialize NVML: Driver/library version mismatch"),
        "gpu",
        "failure",
        "version mismatch; .*restart",
    ),
    "nvidia-smi lists nothing": (smi(gpus="\n"), "gpu", "warning", "lists no GPU"),
    "hidden GPUs": ({"visible": ("",)}, "gpu", "warning", "CUDA_VISIBLE_DEVICES hides"),
    "hidden by -1": ({"visible": ("-1",)}, "gpu", "warning", "unset it"),
    "a new driver": ({}, "driver", "ok", "^580.95.05$"),
    "an old driver": (smi(OLD), "driver", "failure", "550.54.15.*need 580; install"),
    "an old driver, no vLLM": (
        {**smi(OLD), **packages(vllm=None)},
        "driver",
        "warning",
        "550.54.15",
    ),
    "no driver told": (smi(H100.replace("580.95.05", "[N/A]")), "driver", "warning", "not told"),
    "CUDA 13": ({}, "cuda", "ok", "supports 13.0"),
    "CUDA 12.4": (smi(banner=OLD_BANNER), "cuda", "failure", r"12\.4.*need 13\.0"),
    "a newer banner": (
        smi(banner=BANNER.replace("CUDA Version", "CUDA UMD Version")),
        "cuda",
        "ok",
        "13.0",
    ),
    "no CUDA told": (smi(banner="x"), "cuda", "warning", "tells no CUDA version"),
    "Hopper": ({}, "capability", "ok", "9.0"),
    "Turing": (smi(T4), "capability", "warning", "no bfloat16.*float16"),
    "Volta": (smi(V100), "capability", "warning", "7.0, and vLLM needs 7.5.*--engine transformers"),
    "MIG": (smi(MIG), "capability", "warning", "NVIDIA H100 MIG, a: not told"),
    "a free GPU": ({}, "gpu memory 0", "ok", "79.2 GiB of 79.6 GiB free"),
    "a held GPU": (
        smi(HELD, HOLDER),
        "gpu memory 0",
        "warning",
        r"19.5 GiB of 79.6 GiB free; held by /usr/bin/python3, vllm \(pid 4711, 59.6 GiB\); end it",
    ),
    "held by nobody knows whom": (smi(HELD), "gpu memory 0", "warning", "does not tell who"),
    "memory of MIG": (smi(MIG), "gpu memory 0", "warning", "not told"),
    "the second of two": (smi(H100 + HELD), "gpu memory 1", "warning", "19.5 GiB"),
    "packages that fit": ({}, "engine", "ok", "torch 2.13.0.cu130, vllm 0.30.0"),
    "another torch": (
        packages(torch="2.11.0+cu130"),
        "engine",
        "failure",
        "built for torch 2.13.0, not 2.11.0.*pip install torch==2.13.0",
    ),
    "no engine": (
        packages(torch=None, vllm=None, transformers=None),
        "engine",
        "warning",
        "no engine is installed.*pip install",
    ),
    "a CPU torch and a GPU": (
        {**packages(torch="2.13.0+cpu", vllm=None), "pinned_torch": ""},
        "engine",
        "warning",
        "built for the processor.*there is a GPU",
    ),
    "a CPU torch and no GPU": (
        {**NO_GPU, **packages(torch="2.13.0+cpu", vllm=None), "pinned_torch": ""},
        "engine",
        "ok",
        "cpu",
    ),
    "an old vLLM": (packages(vllm="0.19.1"), "vllm", "warning", "0.19.1; .*'vllm>=0.26,<0.34'"),
    "a new vLLM": (packages(vllm="0.34.0"), "vllm", "warning", "0.34.0"),
    "memory": ({}, "memory", "ok", "64.0 GiB"),
    "little memory": ({"memory": GIB}, "memory", "warning", "1.0 GiB free; end other"),
    "shared memory": ({}, "shared memory", "ok", "8.0 GiB"),
    "a container's shared memory": (
        {"shared": replace(SHARED, total=64 << 20, free=64 << 20)},
        "shared memory",
        "warning",
        "64 MiB of 64 MiB.*--shm-size",
    ),
    "full shared memory": (
        {"shared": replace(SHARED, free=1 << 20)},
        "shared memory",
        "warning",
        "1 MiB of 8.0 GiB",
    ),
    "read-only shared memory": (
        {"shared": replace(SHARED, fault="Read-only file system")},
        "shared memory",
        "warning",
        "/dev/shm can't be written: Read-only file system; mount a tmpfs",
    ),
    "no shared memory": ({"shared": None}, "shared memory", "warning", "no /dev/shm"),
    "disk": ({}, "disk of runs", "ok", "100.0 GiB free in /runs"),
    "a full disk": (place("runs", free=0), "disk of runs", "failure", "0 MiB free.*free space"),
    "full temporary files": (
        place("temporary files", free=0),
        "disk of temporary files",
        "failure",
        "free space",
    ),
    "a full cache": (place("cache", free=0), "disk of cache", "warning", "0 MiB"),
    "little disk": (place("runs", free=GIB), "disk of runs", "warning", "1.0 GiB"),
    "a read-only folder": (
        place("runs", fault="Read-only file system"),
        "disk of runs",
        "failure",
        "/runs can't be written: Read-only file system; change to",
    ),
    "read-only temporary files": (
        place("temporary files", fault="Permission denied"),
        "disk of temporary files",
        "failure",
        "set TMPDIR",
    ),
    "read-only models": (
        place("models", fault="Read-only file system"),
        "disk of models",
        "ok",
        "can be used, and none imported",
    ),
    "a read-only cache": (
        place("cache", fault="Permission denied"),
        "disk of cache",
        "warning",
        "OPRO_CACHE",
    ),
    "the clock": ({}, "clock", "ok", "2026-11-30"),
    "the clock of 1970": ({"now": 5.0}, "clock", "warning", "1970-01-01 00:00 UTC.*made on 2026"),
    "a clock far ahead": ({"now": NOW + 3e9}, "clock", "warning", "decades after"),
    "installed on a machine of another zone": ({"now": NOW - 40_000}, "clock", "ok", "2026"),
    "offline": ({}, "offline", "ok", f"all {len(SWITCHES)} offline"),
    "guarded": ({"guarded": True}, "offline", "ok", "connections off the machine are refused"),
    "a switch that is not set": (
        {"environment": UNSET},
        "offline",
        "failure",
        "not set: HF_HUB_OFFLINE; call",
    ),
    "a mirror": (
        {"environment": {**SWITCHES, "HF_ENDPOINT": "x"}},
        "offline",
        "warning",
        "HF_ENDPOINT is set",
    ),
    "a model": ({}, "model tiny", "ok", "safetensors BF16, 1.0 GiB, with a manifest"),
    "a signed model": (model(is_signed=True), "model tiny", "ok", "manifest, signed"),
    "a model without manifest": (
        model(state="no manifest"),
        "model tiny",
        "warning",
        "opro-local models import /models/tiny --name tiny",
    ),
    "a broken model": (model(state="x: missing"), "model tiny", "warning", "x: missing; import"),
    "no model": ({"models": ()}, "models", "warning", "none in the models folder; .*demo.sh"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_line(case):
    changes, name, state, text = CASES[case]
    lines = [line for line in checks.examine(replace(GOOD, **changes)) if line.name == name]
    assert len(lines) == 1, lines
    (line,) = lines
    assert line.state == state and re.search(text, line.text), line
    assert (line.exit_code > 0) == (state == "failure")
    # Whoever is warned is told what to do.
    assert state == "ok" or ";" in line.text


def test_a_good_machine_has_no_other_line():
    states = {line.name: line.state for line in checks.examine(GOOD)}
    assert set(states.values()) == {"ok"}
    assert list(states) == [
        *("gpu", "driver", "cuda", "capability", "gpu memory 0", "engine", "memory"),
        *("shared memory", "disk of runs", "disk of models", "disk of cache"),
        *("disk of temporary files", "clock", "offline", "model tiny"),
    ]


@pytest.mark.parametrize("lines", ["a, b\n", "\n\n", "No devices were found\n", '"x\n'])
def test_other_lines_of_nvidia_smi_are_passed_over(lines):
    made = replace(GOOD, **smi(lines, lines))
    assert graphics.read_cards(made) == [] == graphics.read_holders(made)
    checks.examine(made)


def test_the_vllm_releases_are_those_of_the_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    first, before = (
        ".".join(map(str, one)) for one in (surroundings.FIRST_VLLM, surroundings.BEFORE_VLLM)
    )
    assert f"vllm>={first},<{before}" in extras["cuda"]


def program_in(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "nvidia-smi").chmod(0o755)


@pytest.mark.parametrize(
    ("text", "nvidia"),
    [
        (f"case $1 in --query-gpu*) printf '{H100.strip()}\\n';; '') echo CUDA;; esac", H100),
        ("echo Failed to initialize NVML; exit 9", "Failed to initialize NVML"),
        ("exec sleep 60", "no answer within 1 s"),
    ],
)
def test_a_made_nvidia_smi_is_asked(tmp_path, monkeypatch, text, nvidia):
    program_in(tmp_path / "bin", text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "SECONDS", 1)
    looked = machine.look(tmp_path).nvidia
    assert looked is not None and nvidia in (looked.gpus, looked.error)


def test_places_are_tried_by_writing(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "none" / "models"))
    monkeypatch.setattr(machine, "SHARED", tmp_path / "no")

    class Refused:
        def __init__(self, dir):
            if dir == tmp_path:
                raise PermissionError(13, "Permission denied")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", Refused)
    looked = machine.look(tmp_path / "new" / "runs")
    faults = {place.name: place.fault for place in looked.places}
    assert faults["runs"] == faults["models"] == "Permission denied"
    assert faults["temporary files"] == "" and looked.shared is None
    assert not (tmp_path / "new").exists()


def refuse_below(folder: Path, monkeypatch) -> None:
    """Let everything in a folder be out of reach, as another user's is; root reads all."""

    def refusing(asked):
        def ask(path, *more, **options):
            if isinstance(path, (str, Path)) and str(path).startswith(f"{folder}/"):
                raise PermissionError(13, "Permission denied", str(path))
            return asked(path, *more, **options)

        return ask

    for name in ("stat", "lstat", "open", "scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))


def test_places_that_can_not_be_entered_are_lines(tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(locked / "models"))
    monkeypatch.setenv("OPRO_CACHE", str(locked / "cache"))
    refuse_below(locked, monkeypatch)
    looked = machine.look(tmp_path / "runs")
    places = {place.name: place.path for place in looked.places}
    assert places["models"] == str(locked / "models") and places["cache"] == str(locked / "cache")


def test_a_model_that_can_not_be_read_hides_no_other(tmp_path, monkeypatch):
    from model_folders import whole

    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    for name in ("good", "locked", "half"):
        whole(tmp_path / "models" / name)
    (tmp_path / "models" / "lost").symlink_to("/mnt/not-mounted/model")
    refuse_below(tmp_path / "models" / "locked", monkeypatch)
    real_read = inventory.header_bytes

    def read(file):
        if "half" in str(file):
            raise OSError(5, "Input/output error", str(file))
        return real_read(file)

    monkeypatch.setattr(inventory, "header_bytes", read)
    looked = machine.look(tmp_path)
    states = {model.name: model.state for model in looked.models}
    assert states["good"] == "no manifest"
    assert states["lost"] == "a link that leads nowhere, to /mnt/not-mounted/model"
    assert "half/model.safetensors: can't be read (Input/output error)" in states["half"]
    assert "locked" in states["locked"] and "Permission denied" in states["locked"]
    lines = {line.name: line for line in checks.examine(looked)}
    assert lines["model locked"].state == lines["model lost"].state == "warning"
    assert "make it readable" in lines["model locked"].text


def test_a_models_folder_that_can_not_be_read_is_a_line(tmp_path, monkeypatch):
    def refused(place):
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(inventory, "_folders_in", refused)
    lines = {line.name: line for line in checks.examine(machine.look(tmp_path))}
    assert lines["models"].state == "warning"
    assert "Permission denied" in lines["models"].text
    assert "OPRO_LOCAL_MODELS" in lines["models"].text


def check(*words: str, made: Machine = GOOD, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "look", lambda runs: made)
    return CliRunner().invoke(app, ["check", *words])


def test_json_is_a_list_of_objects(monkeypatch):
    told = check("--no-model", "--json", monkeypatch=monkeypatch)
    lines = json.loads(told.stdout)
    assert told.exit_code == 0
    assert all(set(line) == {"name", "state", "text"} for line in lines) and len(lines) > 10


@pytest.mark.parametrize(
    ("changes", "code"),
    [(NO_GPU, 0), (place("runs", free=0), 4), (smi(OLD), 3), ({"models": ()}, 0)],
)
def test_the_exit_code_is_that_of_the_first_failure(monkeypatch, changes, code):
    told = check("--no-model", made=replace(GOOD, **changes), monkeypatch=monkeypatch)
    assert told.exit_code == code
    assert ("failure" in told.stdout) == (code > 0)


def test_a_model_is_tried_where_there_is_one(monkeypatch):
    from opro_local.doctor import trial

    asked = []

    def tried(config) -> Finding:
        asked.append((config.scorer.model, config.scorer.engine, config.scorer.base_url))
        return fine("answer", "Hi")

    monkeypatch.setattr(trial, "try_model", tried)
    monkeypatch.setattr(trial, "embedded_is_there", lambda: True)
    assert "answer: Hi" in check("--model", "x", "--engine", "vllm", monkeypatch=monkeypatch).stdout
    assert "answer: Hi" in check(monkeypatch=monkeypatch).stdout
    served = ("--engine", "openai", "--set", "scorer.base_url=http://127.0.0.1:1/v1")
    assert "answer: Hi" in check(*served, monkeypatch=monkeypatch).stdout
    check("--no-model", monkeypatch=monkeypatch)
    check("--no-answer", "--model", "x", monkeypatch=monkeypatch)
    monkeypatch.setattr(trial, "embedded_is_there", lambda: False)
    check(monkeypatch=monkeypatch)
    assert asked == [
        ("x", "vllm", ""),
        ("smollm2-135m-instruct", "auto", ""),
        ("", "openai", "http://127.0.0.1:1/v1"),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.toml"], "none.toml: can't read the config"),
        (["--set", "scorer.modle=x"], "modle"),
        (["--no-model", "--set", "search.steps=many"], "search.steps"),
        (["--data", "rows.csv"], "--input is missing"),
    ],
)
def test_what_is_asked_wrongly_is_a_line_too(monkeypatch, words, says):
    told = check(*words, "--json", monkeypatch=monkeypatch)
    lines = json.loads(told.stdout)
    assert len(lines) > 10 and (lines[-1]["name"], lines[-1]["state"]) == ("config", "failure")
    assert says in lines[-1]["text"] and told.exception.exit_code == 2


def test_a_model_that_is_not_there_is_a_failure(monkeypatch):
    told = check("--model", "./none", "--json", monkeypatch=monkeypatch)
    last = json.loads(told.stdout)[-1]
    assert told.exit_code == 3 and last["name"] == "answer" and last["state"] == "failure"
    assert "none" in last["text"] and "not on disk" in last["text"]


def test_a_config_that_can_not_run_is_a_failure_and_one_line(tables, tmp_path, monkeypatch):
    (tmp_path / "empty.csv").write_text("text,label\n")
    words = ["--data", str(tmp_path / "empty.csv"), "--input", "text", "--target", "label"]
    told = check(*words, "--model", "./none", "--json", monkeypatch=monkeypatch)
    last = json.loads(told.stdout)[-1]
    assert (last["name"], last["state"]) == ("config", "failure")
    assert told.exception.exit_code == 2 and "empty.csv" in last["text"]


@pytest.mark.real
def test_two_tokens_of_the_embedded_model(monkeypatch):
    from running import real

    real("transformers")
    told = check("--engine", "transformers", "--json", monkeypatch=monkeypatch)
    last = json.loads(told.stdout)[-1]
    assert told.exit_code == 0 and last["state"] == "ok", last
    assert "on transformers wrote" in last["text"] and "(2 tokens)" in last["text"]
