"""A sweep's file: which cells it comes to, what they are called and known by, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import write_config

from opro_local.cli.sweep import forecast_lines
from opro_local.errors import UsageError
from opro_local.sweeps.forecast import forecast
from opro_local.sweeps.plan import cell_folders, divided, read_plan
from opro_local.sweeps.sweep import read_records

BASE = '[base.search]\nsteps = 2\n[base.scorer]\nengine = "scripted"\nscript = "s.py:answer"\n'


def planned(folder: Path, text: str, *overrides: str):
    """The plan of a file that begins with the base."""
    file = folder / "s.toml"
    file.write_text(BASE + text, "utf-8")
    return read_plan(file, overrides)


def names(plan) -> list[str]:
    return [cell.name for cell in plan.cells]


@pytest.mark.parametrize(
    "text, expected",
    [
        ('[axes]\n"run.seed" = [0, 1]', ["seed=0", "seed=1"]),
        ("[axes]\nrun.seed = [0, 1]", ["seed=0", "seed=1"]),
        ('[axes]\n"run.seed" = { from = 1, to = 3 }', ["seed=1", "seed=2", "seed=3"]),
        (
            '[axes]\n"scorer.top_p" = { from = 0.1, to = 0.3, step = 0.1 }',
            ["top_p=0.1", "top_p=0.2", "top_p=0.3"],
        ),
        ('[axes]\n"run.seed" = { from = 3, to = 1, step = -2 }', ["seed=3", "seed=1"]),
        (
            '[axes]\n"run.seed" = [0, 1]\n"search.order" = ["random", "descending"]',
            [
                *("seed=0,order=random", "seed=0,order=descending"),
                *("seed=1,order=random", "seed=1,order=descending"),
            ],
        ),
        (
            '[[zip]]\n"search.candidates" = [2, 4]\n"search.history" = [9, 8]',
            ["candidates=2,history=9", "candidates=4,history=8"],
        ),
        (
            '[[zip]]\n"search.candidates" = [2, 2]\n"search.history" = { from = 8, to = 9 }',
            ["candidates=2,history=8", "candidates=2,history=9"],
        ),
        (
            '[axes]\n"run.seed" = [0]\n[[zip]]\n"search.candidates" = [2, 4]',
            ["seed=0,candidates=2", "seed=0,candidates=4"],
        ),
        ('[[cell]]\nname = "paper"\n"search.history" = 5', ["paper"]),
        (
            '[axes]\n"run.seed" = [0]\n[[cell]]\nname = "paper"\nsearch.history = 5',
            ["seed=0", "paper"],
        ),
        (
            '[axes]\n"run.seed" = [0, 1]\n"search.order" = ["random", "descending"]\n'
            '[[exclude]]\n"run.seed" = [1, 0]\n"search.order" = "random"',
            ["seed=0,order=descending", "seed=1,order=descending"],
        ),
        # Keys that end alike are told apart by their section.
        (
            '[axes]\n"scorer.top_p" = [1.0]\n"optimizer.top_p" = [0.5]',
            ["scorer.top_p=1.0,optimizer.top_p=0.5"],
        ),
        # A file's name takes the last part of a path, no blank and no slash.
        ('[axes]\n"scorer.model" = ["./a/b c", "x/y"]', ["model=b-c", "model=y"]),
        ('[axes]\n"task.qa" = [true, false]', ["qa=true", "qa=false"]),
    ],
)
def test_axes_zips_named_cells_and_exclusions_come_to_these_cells(tmp_path, text, expected):
    assert names(planned(tmp_path, text)) == expected


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "a sweep without cells; give [axes] or [[cell]]"),
        ("[axes]\nseed = [1]", "axes: 'seed' is no setting; write \"section.key\""),
        ('[axes]\n"runs.seed" = [1]', "axes: 'runs.seed' is no setting"),
        ('[axes]\n"run.sede" = [1]', "cell sede=1: unknown setting run.sede; did you mean"),
        ('[axes]\n"run.seed" = []', "axes: run.seed has no values"),
        ('[axes]\n"run.seed" = 3', "axes: run.seed: a list of values is wanted, got 3"),
        ('[axes]\n"run.seed" = ["x"]', "cell seed=x: run.seed: must be a whole number"),
        ('[axes]\n"run.seed" = [1, 2, 1]', "axes: run.seed has 1 twice"),
        ('[axes]\n"scorer.top_p" = [1, 1.0]', "axes: scorer.top_p has 1.0 twice"),
        ('[axes]\n"run.seed" = { from = 3, to = 1 }', "no values from 3 to 1 by 1"),
        ('[axes]\n"run.seed" = { from = 0, to = 1, step = 0 }', "no values from 0 to 1 by 0"),
        ('[axes]\n"run.seed" = { from = 0 }', "from, to and step of a range must be numbers"),
        ('[axes]\n"run.seed" = { from = 0, to = nan }', "of a range must be numbers"),
        (
            '[axes]\n"run.seed" = { from = 0, to = 9999999999 }',
            "run.seed has 10,000,000,000 values",
        ),
        (
            '[axes]\n"run.seed" = { from = 1, to = 500 }\n"search.history" = { from = 1, to = 250 }',
            "the axes make 125,000 cells (run.seed 500 x search.history 250), more than "
            "max_cells = 1,000; set max_cells if that is meant",
        ),
        ('[axes]\n"run.name" = ["a"]', "run.name can't vary"),
        ('[axes]\n"run.seed" = [1]\n[[zip]]\n"run.seed" = [2]', "run.seed is on two axes"),
        (
            '[[zip]]\n"run.seed" = [1, 2]\n"search.history" = [3]',
            "zip: the axes differ in length: run.seed 2, search.history 1",
        ),
        ("[[zip]]\n", "zip: a table without keys"),
        (
            '[[zip]]\n"run.seed" = [1, 1]\n"search.history" = [3, 3]',
            "the cells seed=1,history=3 and seed=1,history=3 are the same run",
        ),
        ('[axes]\n"run.seed" = [1]\n[[exclude]]\n', "would leave out every cell"),
        ('[axes]\n"run.seed" = [1]\n[[exclude]]\n"run.seed" = 2', "no cell has run.seed = [2]"),
        ('[axes]\n"run.seed" = [1]\n[[exclude]]\n"run.seed" = 1', "every cell is excluded"),
        (
            '[axes]\n"run.seed" = [1]\n[[exclude]]\n"search.order" = "random"',
            "exclude: search.order is on no axis; axes: run.seed",
        ),
        # true is not 1.
        ('[axes]\n"run.seed" = [1]\n[[exclude]]\n"run.seed" = true', "no cell has run.seed"),
        ('[[cell]]\n"run.seed" = 1', "cell 1 has no name"),
        ('[[cell]]\nname = "a"\n[[cell]]\nname = "a"\nrun.seed = 1', "two cells are called 'a'"),
        ('[[cell]]\nname = "../a"', "cell '../a': no file can be called so"),
        ('[[cell]]\nname = "a"\n[[cell]]\nname = "b"', "the cells a and b are the same run"),
        (
            '[axes]\n"run.seed" = [7]\n[[cell]]\nname = "mine"\nrun.seed = 7',
            "the cells seed=7 and mine are the same run",
        ),
        ("[axis]\nrun.seed = [1]", "unknown setting axis; did you mean axes?"),
        ("[axes]\nrun.seed = [1, 2", "not a TOML file"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(UsageError) as caught:
        planned(tmp_path, text)
    line = str(caught.value)
    assert said in line and "\n" not in line and line.startswith(str(tmp_path / "s.toml"))


@pytest.mark.parametrize(
    "text, said",
    [
        ("[axes]\nrun.seed = [1]", "base is missing; give base = "),
        ('base = "none.toml"\n[axes]\nrun.seed = [1]', "none.toml: can't read the config"),
        ('base = "nothing"\n[axes]\nrun.seed = [1]', "no recipe 'nothing'"),
        ('name = "../x"\nbase = "gsm8k"\n[axes]\nrun.seed = [1]', "name '../x': no file can be"),
        ("base = 3\n[axes]\nrun.seed = [1]", "base is neither"),
    ],
)
def test_a_base_that_is_not_there_is_refused_in_one_line(tmp_path, text, said):
    file = tmp_path / "s.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=said.replace("'", ".")):
        read_plan(file)


def test_a_base_is_tables_or_a_file_or_a_recipe_and_paths_start_from_their_own_file(tmp_path):
    (tmp_path / "deep").mkdir()
    write_config(tmp_path / "deep" / "base.toml", {"task": {"data": "rows.csv", "input": "x"}})
    file = tmp_path / "s.toml"
    file.write_text('base = "deep/base.toml"\n[axes]\n"task.test" = ["t.csv"]\n', "utf-8")
    (cell,) = read_plan(file).cells
    assert cell.config.task.data == str(tmp_path / "deep" / "rows.csv")
    assert cell.config.task.test == str(tmp_path / "t.csv")
    file.write_text('base = "gsm8k"\n[axes]\nrun.seed = [5]\n', "utf-8")
    (cell,) = read_plan(file).cells
    assert cell.config.task.name == "gsm8k" and cell.config.run.seed == 5
    assert cell.config.run.name == "seed=5"


def test_settings_of_the_command_line_change_the_base_and_no_axis(tmp_path):
    text = "[axes]\nrun.seed = [0, 1]"
    plan = planned(tmp_path, text, "search.steps=9")
    assert [cell.config.search.steps for cell in plan.cells] == [9, 9]
    with pytest.raises(UsageError, match="seed varies over the sweep"):
        planned(tmp_path, text, "run.seed=4")


def ids(plan) -> dict[str, str]:
    return {cell.name: cell.id for cell in plan.cells}


def test_a_cell_is_known_by_its_config_and_not_by_its_place(tmp_path):
    before = ids(planned(tmp_path, "[axes]\nrun.seed = [0, 1]"))
    assert len(set(before.values())) == 2
    more = ids(planned(tmp_path, "[axes]\nrun.seed = [7, 1, 0]"))
    assert {name: more[name] for name in before} == before
    # A further axis keeps the cells that have its usual value.
    order = ids(
        planned(tmp_path, '[axes]\nrun.seed = [0, 1]\nsearch.order = ["ascending", "random"]')
    )
    assert order["seed=0,order=ascending"] == before["seed=0"]
    assert order["seed=0,order=random"] not in before.values()
    # So it is with what a run may be continued with, and a base with more steps continues cells.
    steps = ids(planned(tmp_path, "[axes]\nrun.seed = [0, 1]\nsearch.steps = [2, 4]"))
    assert steps["seed=0,steps=2"] == before["seed=0"] != steps["seed=0,steps=4"]
    longer = ids(planned(tmp_path, "[axes]\nrun.seed = [0, 1]", "search.steps=50"))
    assert longer == before
    # How a model is hosted is no part of it, which model is.
    hosted = ids(planned(tmp_path, "[axes]\nrun.seed = [0, 1]", "scorer.gpu_memory=0.5"))
    assert hosted == before
    other = ids(planned(tmp_path, "[axes]\nrun.seed = [0, 1]", "scorer.model=other"))
    assert not set(other.values()) & set(before.values())


def test_a_project_may_move_with_its_sweep(tmp_path):
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        text = '[axes]\nrun.seed = [0]\n"task.data" = ["rows.csv"]'
        found.append(ids(planned(tmp_path / name, text)))
    assert found[0] == found[1]


def test_names_that_would_be_one_have_the_identity_and_are_of_a_file_s_length(tmp_path):
    long = "x" * 300
    text = f'[axes]\n"task.description" = ["a b", "a-b", "{long}", "{long}y", "\u00e4", ""]'
    plan = planned(tmp_path, text)
    found = names(plan)
    assert len(set(found)) == 6 and all(len(name) < 120 and name.isascii() for name in found)
    assert found[0] == f"description=a-b-{plan.cells[0].id}"
    folders = cell_folders(tmp_path, plan.cells)
    assert len(set(folders.values())) == 6
    assert all(folders[cell.id].name.endswith(cell.id) for cell in plan.cells)


def test_settings_hold_every_key_that_varies_with_its_value_in_the_cell(tmp_path):
    text = '[axes]\nrun.seed = [0]\n[[cell]]\nname = "long"\nsearch.steps = 9'
    plan = planned(tmp_path, text)
    assert plan.keys == ("run.seed", "search.steps")
    assert [dict(cell.settings) for cell in plan.cells] == [
        {"run.seed": 0, "search.steps": 2},
        {"run.seed": 0, "search.steps": 9},
    ]


def test_a_secret_is_in_no_record_of_a_sweep(tmp_path):
    text = "[axes]\nproblem.environment = [{ KEY = 'hush' }, { OTHER = 'hush' }]\n"
    file = tmp_path / "s.toml"
    file.write_text("[base.problem]\nkind = 'command'\ncommand = ['true']\n" + text, "utf-8")
    plan = read_plan(file)
    assert [cell.settings["problem.environment"] for cell in plan.cells] == [["KEY"], ["OTHER"]]
    assert "hush" not in " ".join(names(plan))
    twice = text.replace("OTHER", "KEY")
    file.write_text(file.read_text("utf-8").replace(text, twice), "utf-8")
    with pytest.raises(UsageError) as caught:
        read_plan(file)
    assert "hush" not in str(caught.value) and "twice" in str(caught.value)


@pytest.mark.parametrize(
    "text, groups",
    [
        ("run.seed = [0, 1, 2]", [3]),
        ("scorer.temperature = [0.0, 1.0]", [2]),
        ("scorer.max_tokens = [8, 16]", [2]),
        ('scorer.script = ["a.py:f", "b.py:f"]', [1, 1]),
        ('scorer.script = ["a.py:f", "b.py:f"]\nrun.seed = [0, 1]', [2, 2]),
        ("scorer.max_model_len = [512, 1024]", [1, 1]),
        ('optimizer.script = ["a.py:f", "s.py:answer"]\noptimizer.engine = ["scripted"]', [1, 1]),
    ],
)
def test_cells_are_grouped_by_what_their_engines_are_started_with(tmp_path, text, groups):
    plan = planned(tmp_path, f"[axes]\n{text}")
    assert [len(group.cells) for group in plan.groups] == groups


def test_groups_are_divided_until_every_place_has_one(tmp_path):
    plan = planned(tmp_path, "[axes]\nrun.seed = [0, 1, 2, 3, 4]")
    for places, sizes in ((1, [5]), (2, [3, 2]), (4, [1, 1, 1, 2]), (9, [1] * 5)):
        parts = divided(plan.groups, places)
        assert sorted(len(part.cells) for part in parts) == sorted(sizes)
        assert {cell.id for part in parts for cell in part.cells} == {c.id for c in plan.cells}
        assert len({part.name for part in parts}) == len(parts)


def test_a_thousand_cells_are_planned_and_listed(tmp_path, reviews):
    """In under 5 s, by scripts/bench_sweep.py."""
    script = Path(__file__).parents[1] / "scripted_model.py"
    text = (
        f'[base.task]\ndata = "{reviews}"\ninput = "text"\ntarget = "label"\n[base.scorer]\n'
        f'engine = "scripted"\nscript = "{script}:answer"\n[axes]\n'
        "run.seed = { from = 0, to = 249 }\n"
        'search.order = ["ascending", "random"]\nsearch.history = [5, 10]\n'
    )
    (tmp_path / "s.toml").write_text(text, "utf-8")
    plan = read_plan(tmp_path / "s.toml")
    told = forecast(plan, read_records(plan, tmp_path / "d"), 1, calibrated=False)
    assert len(told.cells) == 1000 == len({cell.record.path for cell in told.cells})
    assert forecast_lines(told)[0].startswith("s: 1000 cells in 1 engine group, 1 side by side")
    assert not (tmp_path / "d").exists()
