"""A scripted model that ranks rows well and gives one label nearly always, and a table for it."""

from __future__ import annotations

import csv
from pathlib import Path

from opro_local.engines.scripted import ScriptedEngine

GOOD = "Weigh it with care."
SCRIPT = r'''
import json, math, re


def answer(request):
    """Of labels: yes is far too probable; a careful prompt knows more of the rows."""
    sampling = request.sampling
    if not sampling.labels:
        return "Weigh it with care." if (sampling.seed or 0) % 2 else "Say what it is."
    text = request.prompt.text
    number = int(re.findall(r"row (\d+)", text)[-1])
    is_no = number % 3 == 0
    sure = 3.0 if "care" in text else 1.0
    noise = (number * 7919 % 13 - 6) / 5
    gap = 4 - sure * is_no + noise
    yes = -math.log1p(math.exp(-gap))
    return json.dumps({one: round(yes if one == "yes" else yes - gap, 5) for one in sampling.labels})
'''


def prepare(folder: Path, monkeypatch) -> Path:
    """A folder with rows and the script. Runs have the engine in this process."""
    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine",
        lambda settings, wanted, log, own: (ScriptedEngine(settings), ""),
    )
    (folder / "model.py").write_text(SCRIPT)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"row {n}", "no" if n % 3 == 0 else "yes") for n in range(240)]
        csv.writer(stream).writerows([("text", "label"), *rows])
    return folder


def tables(folder, mode="halve", **more):
    script = {"engine": "scripted", "script": f"{folder / 'model.py'}:answer"}
    task = {"data": str(folder / "rows.csv"), "input": "text", "target": "label"}
    task |= {"answer": "label_probability", "rule": "labels", **more.pop("task", {})}
    return {
        "task": task,
        "scorer": {**script, "max_tokens": 8, **more.pop("scorer", {})},
        "optimizer": script,
        "search": {
            "seeds": ["Say which."],
            "steps": 2,
            "candidates": 4,
            "demonstrations": 0,
            "metaprompt": "continuation",
            **more.pop("search", {}),
        },
        "evaluation": {"mode": mode, **more.pop("evaluation", {})},
        "run": {"seed": 3},
    }
