"""A run continued with other stop rules: what its store holds then, and what would make it another
run.
"""

from __future__ import annotations

from collections import Counter

import pytest

from opro_local import optimize
from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.runs.reading import rejected, scored
from opro_local.runs.run import run
from opro_local.search.metaprompts.metaprompt import load
from opro_local.search.proposing import samplings


def searched(tables: dict, folder, **search):
    return optimize({**tables, "search": {**tables["search"], **search}}, run=folder)


def test_a_shorter_search_leaves_no_rows_of_the_longer_one(tables, tmp_path):
    searched(tables, tmp_path / "run", steps=4)
    found = searched(tables, tmp_path / "run", steps=2)
    rows = scored(tmp_path / "run")
    assert sum(row["split"] == "train" for row in rows) == found["solutions"]
    assert max(row["step"] for row in rows) <= 3  # the end's validation and test
    assert len(rejected(tmp_path / "run")) == sum(found["rejections"].values())


def test_an_extended_search_leaves_the_rows_of_one_that_was_never_stopped(tables, tmp_path):
    tables["evaluation"] = {"mode": "subset", "subset_rows": 6}
    searched(tables, tmp_path / "run", steps=2)
    found = searched(tables, tmp_path / "run", steps=4)
    fresh = searched(tables, tmp_path / "fresh", steps=4)
    assert found["digest"] == fresh["digest"]
    kept, wanted = (
        Counter((r["split"], r["step"], r["text"]) for r in scored(tmp_path / n))
        for n in ("run", "fresh")
    )
    assert kept == wanted


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"max_pairs": 200}, {"max_pairs": 400}, r"search\.max_pairs was 200, now 400"),
        (
            {"schedule": "linear", "temperature_end": 0.5, "steps": 2},
            {"steps": 3},
            r"search\.steps was 2, now 3",
        ),
    ],
)
def test_what_would_have_changed_earlier_steps_is_named(tables, tmp_path, before, after, said):
    searched(tables, tmp_path / "run", **before)
    with pytest.raises(UsageError, match=said):
        searched(tables, tmp_path / "run", **{**before, **after})


def test_a_linear_temperature_begins_at_its_start():
    config = reading.build(
        {
            "optimizer": {"temperature": 0.2},
            "search": {"schedule": "linear", "temperature_end": 1.0, "steps": 3},
        }
    )
    drawn = [samplings(config, load("rewording"), step, 1)[0].temperature for step in range(4)]
    assert drawn == pytest.approx([0.2, 0.2, 0.6, 1.0])


def test_a_project_may_move_with_its_functions(tables, tmp_path):
    old, new, *others = (
        reading.build({"task": {"rule": rule}}).model_dump(mode="json")
        for rule in (
            "/a/rule.py:score",
            "/b/rule.py:score",
            "/b/rule.py:other",
            "/b/rules.py:score",
        )
    )
    assert reading.changes(old, new) == [] and all(reading.changes(old, other) for other in others)
    found = reading.build({"task": {"rule": "regex", "pattern": r"(\w+)\.py:(\d+)"}})
    assert found.task.pattern == r"(\w+)\.py:(\d+)"
    found = reading.build({"problem": {"kind": "function", "function": "objective"}})
    assert found.problem.function == "objective"


@pytest.mark.parametrize(
    "problem",
    [{"kind": "tsp", "nodes": 3}, {"kind": "tsp", "nodes": 5, "start": "farthest_insertion"}],
)
def test_a_search_that_needs_no_engine_keeps_its_folder(tables, tmp_path, problem):
    found = optimize(
        {"problem": problem, "optimizer": tables["optimizer"], "search": {"steps": 1}},
        run=tmp_path / "run",
    )
    assert (
        found["calls"] == {"optimizer": 0, "scorer": 0}
        and (tmp_path / "run" / "result.json").is_file()
    )
    assert len(scored(tmp_path / "run")) == found["solutions"] > 0


def test_settings_beside_a_whole_config_are_refused(tables, tmp_path):
    config = reading.build(tables)
    for more in ({"set": ["search.steps=3"]}, {"model": "m"}, {"input": "text"}):
        with pytest.raises(UsageError, match="whole"):
            optimize(config, run=tmp_path / "run", **more)
    del tables["task"]["input"], tables["task"]["target"]
    found = optimize(
        tables, run=tmp_path / "run", input="text", target="label", set=["search.steps=1"]
    )
    assert found["steps"] == 1 and isinstance(config, Config)
    assert (
        found["digest"]
        == run(
            config.model_copy(update={"search": config.search.model_copy(update={"steps": 1})}),
            tmp_path / "whole",
        )["digest"]
    )
