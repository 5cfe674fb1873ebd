"""`opro-local run RECIPE` with the options that a recipe leaves to its user."""

from __future__ import annotations

import json

from running import SCRIPT, program, sets, write_config, write_reviews


def test_run_takes_the_model_the_folder_and_prompts_beside_a_recipe_or_file(tmp_path):
    rows = [{"question": f"1+{n}?", "answer": f"#### {n + 1}"} for n in range(30)]
    for split in ("train", "test"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"gsm_{split}.tsv").write_text(lines)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    told = program(
        *("run", "gsm8k", "--data-dir", "nowhere", "--model", "./x", "--prompt", "Think."),
        cwd=tmp_path,
    )
    # What the options name is what is looked for.
    assert told.returncode == 2 and "nowhere" in told.stderr


def test_the_prompts_and_the_model_of_run_win_over_the_file(tmp_path):
    role = {"engine": "scripted", "script": SCRIPT, "model": "none"}
    tables = {
        "task": {
            "data": str(write_reviews(tmp_path / "r.csv")),
            "input": "text",
            "target": "label",
        },
        "scorer": role,
        "optimizer": {**role, "model": "other"},
        "search": {"seeds": ["What?"], "steps": 1, "metaprompt": "continuation"},
    }
    file = write_config(tmp_path / "c.toml", tables)
    run = tmp_path / "run"
    more = ("--model", "mine", "--prompt", 'Say "é😀"', "--prompt", "Second", "--json")
    told = program("run", str(file), "--run", str(run), *more, *sets("search.candidates=2"))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["baseline"]["text"] == 'Say "é😀"'
    trajectory = json.loads(program("show", str(run), "--json", "--trajectory").stdout)
    texts = [row["text"] for row in trajectory["trajectory"]]
    assert "Second" in texts and "What?" not in texts
