"""Worked examples that a seed brings with answers of their own, as a run's best.json does."""

from __future__ import annotations

import json
import re

import pytest
from running import program, write_config
from scripted_model import answer
from test_mixing import driven, mixed

from opro_local.config import reading
from opro_local.runs.plans import make_plan


def shown_first(tables: dict, rows: int) -> list[str]:
    """The ids of the first train rows."""
    return [row.id for row in make_plan(reading.build(tables)).problem.rows["train"]][:rows]


@pytest.mark.parametrize("seed", range(3))
def test_a_row_that_the_model_never_gets_right_stays_among_them(tables, seed):
    """Changes of the worked examples can keep or drop it; its given answer is what it costs."""
    ids = shown_first(tables, 4)
    wrong = next(
        row.input
        for row in make_plan(reading.build(tables)).problem.rows["train"]
        if row.id == ids[0]
    )

    def never(request):
        said = re.findall(r"Number \d+ was \w+", request.prompt.text)
        asked = request.sampling.seed is None and said[-1] == wrong
        return "dunno" if asked else answer(request)

    start = {"text": "What is it?", "demonstrations": ids, "answers": ["positive"] * 4}
    search = mixed(tables, seeds=[start], demonstration_answers="own", steps=8, demonstrations=4)
    search["run"] = {"seed": seed}
    _, trajectory, _, _ = driven(search, never)
    assert any(entry.step == 8 for entry in trajectory.entries)


def test_their_answers_can_be_written_out_after_an_evaluation_on_train(tables, tmp_path):
    ids = shown_first(tables, 2)
    best = {
        "text": "Say it.",
        "demonstrations": [{"id": key, "input": "?", "answer": "positive"} for key in ids],
    }
    (tmp_path / "best.json").write_text(json.dumps(best))
    write_config(tmp_path / "c.toml", {**tables, "search": {"demonstration_answers": "own"}})
    said = program(
        *(
            "evaluate",
            "c.toml",
            "--prompts",
            "best.json",
            "--split",
            "train",
            "--output",
            "rows.jsonl",
        ),
        cwd=tmp_path,
    )
    assert said.returncode == 0, said.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len(make_plan(reading.build(tables)).problem.rows["train"])
