"""docs/air-gap.md: its commands in their order, from the dry run to the installed program, with a
made-up lock and a program of one module in place of 700 MB.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from bundle_making import PLATFORM, PROGRAM, PYTHON, empty_lock, pip_wheel, wheel
from documented import BLOCK
from running import ROOT
from typer.testing import CliRunner

from opro_local.bundle import lock, making
from opro_local.cli.main import app

PAGE = (ROOT / "docs" / "air-gap.md").read_text("utf-8")


def page_commands() -> list[str]:
    blocks = [block for named, kind, block in BLOCK.findall(PAGE) if kind == "sh" and not named]
    lines = [line for block in blocks for line in block.splitlines() if line]
    return [line for line in lines if not line.startswith("docker ")]


def furnish(folder: Path, monkeypatch) -> None:
    """A model, rows, and a lock that holds pip only; the page's first command keeps the real one."""
    model = folder / "weights" / "smollm2-135m-instruct"
    model.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (model / name).write_text("{}")
    (folder / "reviews.csv").write_text("text,label\ngood,positive\n")
    monkeypatch.setattr("opro_local.models.offline.find_model", lambda name: model)
    monkeypatch.setattr(lock, "OLDEST", {"cpu": PLATFORM})
    empty_lock(folder / "locks", monkeypatch)


def pack(folder: Path):
    """What stands in for building the program: its wheel and pip's."""
    bundled = pip_wheel()

    def build(house: Path) -> None:
        wheel(house, "opro_local", code=PROGRAM)
        shutil.copy(bundled, house)

    return build


@pytest.mark.long
def test_every_command_of_the_page_works_in_its_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, *others = page_commands()
    assert CliRunner().invoke(app, shlex.split(first)[1:]).exit_code == 0
    furnish(tmp_path, monkeypatch)
    monkeypatch.setattr(making.wheels, "build_program", pack(tmp_path))
    monkeypatch.setattr(making, "_refuse_strays", lambda *arguments: None)  # pip is one more
    for line in others:
        if line.startswith("opro-local "):
            came = CliRunner().invoke(app, shlex.split(line)[1:])
            assert came.exit_code == 0, f"{line}\n{came.output}"
            continue
        line = line.replace("install.sh", f"install.sh --python $(command -v python{PYTHON})")
        told = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=200)
        assert told.returncode == 0, f"{line}\n{told.stderr}"
        last = told.stdout
    words = " ".join(shlex.split(others[-1])[1:])
    assert last == f"tiny {words}\n"


def page_units() -> dict[str, str]:
    """The unit files of the page by name, with a program that is there in place of ours."""
    named = re.findall(
        r"`/etc/systemd/system/(\S+)`[^`]*(?:`[^`]+`[^`]*)*?```ini\n(.*?)```", PAGE, re.S
    )
    return {name: text.replace("/opt/opro/opro-local", "/bin/true") for name, text in named}


def test_systemd_understands_the_units(tmp_path):
    units = page_units()
    assert set(units) == {"opro-local.service", "opro-local.timer"}
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    told = subprocess.run(
        ["systemd-analyze", "verify", *(tmp_path / name for name in units)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, "")
