"""What tests of the whole program share: where things are, how it is run, and when a real model
can't be.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opro_local.config import reading
from opro_local.config.settings import Config

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = f"{ROOT / 'tests' / 'scripted_model.py'}:answer"
# For runs of a real model: enough rows to split, few enough for a CPU without a prefix cache.
FEW_ROWS = ("task.train_rows=8", "task.validation_rows=6", "task.test_rows=6")
SMOL = ROOT / "models" / "weights" / "smollm2-135m-instruct"

GIB = 1 << 30


def sets(*settings: str) -> list[str]:
    """Settings as the command line takes them."""
    return [part for setting in settings for part in ("--set", setting)]


def program(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the installed command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "opro_local", *arguments],
        capture_output=True,
        text=True,
        timeout=options.pop("timeout", 280),
        **options,
    )


def embedded_model() -> None:
    """Skip the calling test where the embedded model's folder is not there, saying why."""
    if not (SMOL / "config.json").is_file():
        pytest.skip("the embedded model is not there: scripts/test.sh gets it")


def real(kind: str) -> None:
    """Skip the calling test where a real model can't run, saying why."""
    embedded_model()
    if importlib.util.find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed here")


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends within the seconds; a zombie counts as ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def write_reviews(path: Path) -> Path:
    """Write 60 rows, half of them "positive"; the word "good" tells which."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(30):
            writer.writerow([f"Number {i} was good", "positive"])
            writer.writerow([f"Number {i} was poor", "negative"])
    return path


def write_config(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a config's tables as TOML; of plain values JSON is TOML as well."""
    lines = (
        f"[{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in own.items())
        for name, own in tables.items()
    )
    path.write_text("".join(lines), "utf-8")
    return path


def two_scripted(tmp_path, *more: str) -> Config:
    """A run whose roles are hosted differently, so by two engines."""
    section = {"engine": "scripted", "script": SCRIPT, "model": "none"}
    reviews = write_reviews(tmp_path / "reviews.csv")
    tables = {
        "task": {"data": str(reviews), "input": "text", "target": "label"},
        "scorer": section,
        "optimizer": {**section, "max_model_len": 4096},
        "search": {
            "steps": 2,
            "candidates": 3,
            "metaprompt": "continuation",
            "seeds": ["What is it?"],
        },
    }
    return reading.build(tables, more)
