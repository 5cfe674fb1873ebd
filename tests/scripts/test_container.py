"""Dockerfile.cuda built by buildah and started by podman without a network, with a tiny bundle in
place of the CUDA one and Debian, made here by debootstrap, in place of vLLM's image.

For: what the instructions come to in a container: user, folders, switches, entry, health check. Not
for: CUDA, vLLM and a GPU; docs/air-gap.md says what was tried by hand with the real cpu bundle.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_making import pip_wheel, tiny_bundle
from running import ROOT

from opro_local.network import SWITCHES

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
PROGRAMS = ("buildah", "podman", "runc", "debootstrap")
SUITE, PYTHON = "bookworm", (3, 11)  # a Debian and its Python; the bundle is for this Python
BASE, IMAGE = "localhost/base", "localhost/opro-local"
# Plain limits: the engines would raise them, which a root without CAP_SYS_RESOURCE may not.
ISOLATED = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
SEARCH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Engine:
    """buildah and podman with one store of images, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        store = [f"--root={folder / 'store'}", f"--runroot={folder / 'run'}"]
        self.podman = ["podman", *store, "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
        self.buildah = ["buildah", *store]

    def build(self, *arguments: str | Path) -> str:
        return self._run([*self.buildah, *map(str, arguments)])

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Start a container of the image without a network; what it printed."""
        return self._run([*self.podman, "run", "--rm", *ISOLATED, *arguments], fails)

    def image(self) -> dict:
        said = json.loads(self._run([*self.podman, "image", "inspect", IMAGE]))
        return said[0]

    def _run(self, command: list[str], fails: bool = False) -> str:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert (ended.returncode != 0) is fails, ended.stdout[-1500:] + ended.stderr[-1500:]
        return ended.stdout + (ended.stderr if fails else "")


def debian(folder: Path) -> Path:
    """An archive of a small Debian with Python; skips the calling test off Debian's packages."""
    made = subprocess.run(
        [
            *("debootstrap", "--variant=minbase", "--include=python3,python3-pip"),
            *(SUITE, str(folder / "base")),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if made.returncode:
        pytest.skip(f"debootstrap brought no Debian: {made.stdout.strip().splitlines()[-1:]}")
    subprocess.run(["tar", "-C", folder / "base", "-cf", folder / "base.tar", "."], check=True)
    shutil.rmtree(folder / "base")
    return folder / "base.tar"


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[Engine]:
    """The image, built without a network."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install {' '.join(PROGRAMS)}")
    if os.geteuid() != 0 or sys.version_info[:2] != PYTHON:
        pytest.skip("needs root, and the Python of the Debian that is made")
    folder = tmp_path_factory.mktemp("images")
    engine = Engine(folder)
    base = engine.build("from", "scratch").strip()
    engine.build("add", "--quiet", base, debian(folder), "/")
    # Debian's pip leaves the system's Python alone unless it is told; vLLM's image has no such rule.
    for setting in ("PIP_BREAK_SYSTEM_PACKAGES=1", SEARCH):
        engine.build("config", "--env", setting, base)
    engine.build("commit", "--quiet", "--rm", base, BASE)
    with pytest.MonkeyPatch.context() as patch:
        tiny_bundle(folder, patch, pip_wheel())
    engine.build(
        *("bud", "--isolation", "oci", "--runtime", "runc", *ISOLATED, "--format", "docker"),
        *("--build-arg", f"BASE={BASE}", "-f", ROOT / "Dockerfile.cuda", "-t", IMAGE, folder),
    )
    yield engine
    subprocess.run([*engine.buildah, "rmi", "--all", "--force"], capture_output=True, timeout=200)


def test_the_image_starts_the_program_of_the_bundle(engine):
    assert engine.run(IMAGE, "run", "config.toml").strip() == "tiny run config.toml"
    assert engine.run(IMAGE).strip() == "tiny --help"


def test_nobody_is_root_in_it_and_its_folders_are_the_users(engine):
    shell = ["--entrypoint", "sh", IMAGE, "-c"]
    said = engine.run(*shell, "id -u; id -g; pwd; stat -c '%u %n' /models runs; touch runs/x")
    assert said.split() == ["10001", "10001", "/home/opro", "10001", "/models", "10001", "runs"]
    assert "Permission denied" in engine.run(*shell, "touch /usr/bin/x", fails=True)


def test_only_loopback_is_there_and_every_switch_is_set(engine):
    said = engine.run("--entrypoint", "sh", IMAGE, "-c", "cat /proc/net/dev; env")
    devices = [line.split(":")[0].strip() for line in said.splitlines() if ": " in line]
    assert devices[:1] == ["lo"] and "eth0" not in devices
    assert {f"{name}={value}" for name, value in SWITCHES.items()} <= set(said.splitlines())


def test_the_health_check_answers_and_labels_are_there(engine):
    config = engine.image()
    (kind, *check) = config["HealthCheck" if "HealthCheck" in config else "Healthcheck"]["Test"]
    assert (kind, check) == ("CMD", ["opro-local", "--version"])
    assert engine.run("--entrypoint", check[0], IMAGE, *check[1:]).strip() == "tiny --version"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_runs_as_any_number_with_weights_and_system_read_only(engine, tmp_path):
    """As compose.yaml starts it."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    (tmp_path / "weights" / "config.json").chmod(0o666)
    options = ["--user", "4321:4321", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all"]
    options += ["--security-opt", "no-new-privileges", "--tmpfs", "/tmp:exec,mode=1777"]
    options += ["--volume", f"{tmp_path / 'weights'}:/models:ro", "--env", "HOME=/tmp"]
    options += ["--entrypoint", "sh", IMAGE, "-c"]
    assert engine.run(*options, "id -u; cat /models/config.json; opro-local x").split() == [
        *("4321", "{}tiny", "x")
    ]
    # Every cache is where that user may write.
    engine.run(
        *options,
        'for name in HF_HOME XDG_CACHE_HOME VLLM_CACHE_ROOT TRITON_CACHE_DIR TORCHINDUCTOR_CACHE_DIR; do mkdir -p "$(printenv $name)/x" || exit 1; done',
    )
    for place in ("/models/config.json", "/var/tmp/x"):
        assert "Read-only file system" in engine.run(*options, f"touch {place}", fails=True)
