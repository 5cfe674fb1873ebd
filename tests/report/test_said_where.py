"""The terminal says where a run's report is."""

from __future__ import annotations

from running import SCRIPT, program, write_config, write_reviews


def test_the_end_of_a_run_and_list_say_where_the_report_is(tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    scripted = {"engine": "scripted", "script": SCRIPT}
    tables = {
        "task": {"data": str(tmp_path / "reviews.csv"), "input": "text", "target": "label"},
        "scorer": {**scripted, "max_tokens": 8},
        "optimizer": scripted,
        "search": {"seeds": ["What is it?"], "steps": 1, "candidates": 2},
    }
    config = write_config(tmp_path / "run.toml", tables)
    folder = tmp_path / "runs" / "one"
    command = ("run", str(config), "--run", str(folder))
    came = program(*command)
    assert came.stdout.splitlines()[-1] == f"To look at it: opro-local report {folder}", came.stderr
    assert str(folder / "report.html") not in program("list", str(folder.parent)).stdout
    made = program("report", str(folder))
    assert made.stdout.splitlines()[-1] == str(folder / "report.html")
    assert program("list", str(folder.parent)).stdout.rstrip().endswith(str(folder / "report.html"))
    again = program(*command).stdout.splitlines()[-1]
    assert (
        again
        == f"An earlier report of it is {folder / 'report.html'}; opro-local report {folder} makes it anew"
    )
