"""Settings: defaults of the paper, overrides, and one line for whatever is wrong."""

from __future__ import annotations

import json

import pytest

from opro_local.config import reading
from opro_local.config.problem import PROBLEMS
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.search.metaprompts import metaprompt


def test_defaults_are_the_papers():
    config = reading.build({})
    search = config.search
    assert (search.candidates, search.history, search.order, search.exemplars) == (
        8,
        20,
        "ascending",
        3,
    )
    assert (search.exemplar_choice, search.buckets, search.longest) == ("random", 100, 500)
    assert (config.optimizer.temperature, config.scorer.temperature) == (None, 0.0)
    assert metaprompt.load("brackets").temperature == metaprompt.load("tags").temperature == 1.0


def test_overrides_take_toml_values_or_text():
    config = reading.build(
        {},
        ["search.steps=3", 'search.order="random"', "run.name=my run", "search.seeds=['a', 'b']"],
    )
    assert (config.search.steps, config.search.order, config.run.name) == (3, "random", "my run")
    assert config.search.seeds == ("a", "b")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.stepz=3", "unknown setting search.stepz; did you mean search.steps?"),
        ("serch.steps=3", "unknown setting serch; did you mean search?"),
        ("search.steps=many", "search.steps: must be a whole number"),
        ("search.steps=1.5", "search.steps: must be a whole number, got 1.5"),
        ("search.seeds={a=1}", "search.seeds: must be a list"),
        ("search.early_stop=3", "search.early_stop: must be true or false"),
        ("optimizer.temperature=hot", "optimizer.temperature: must be a number"),
        ("run.name=[1]", "run.name: must be a text in quotes"),
        ("search.steps=-1", "search.steps: input should be greater than or equal to 0, got -1"),
        (
            "search.order=upwards",
            "search.order: input should be 'ascending', 'descending' or 'random', got 'upwards'",
        ),
        ("steps=3", "--set steps=3: not of the form section.key=value"),
        ("task.split=[0.5,0.6,0.2]", "task.split: three fractions"),
        ("task.template=no place", "task.template has no {instruction}"),
        ("search.schedule=linear", "needs search.temperature_end"),
        ("search.seeds=[]", "search.seeds: at least one starting solution"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(override, message):
    with pytest.raises(UsageError) as caught:
        reading.build({}, [override])
    assert message in str(caught.value) and "\n" not in str(caught.value)


SECTIONS = {
    name: field.annotation for name, field in Config.model_fields.items() if name != "problem"
}
FIELDS = [(s, f) for s, section in SECTIONS.items() for f in section.model_fields]
KINDS = [(k, f) for k, section in PROBLEMS.items() for f in section.model_fields if f != "kind"]


@pytest.mark.parametrize(("kind", "field"), KINDS)
def test_every_setting_of_a_problem_refuses_a_wrong_type_and_a_misspelling(kind, field):
    with pytest.raises(UsageError, match=rf"^problem\.({field}|\w+: field required)"):
        reading.build({"problem": {"kind": kind, field: {"a": object()}}})
    with pytest.raises(UsageError, match=r"did you mean|accepted|field required"):
        reading.build({"problem": {"kind": kind, field + "q": 1}})


@pytest.mark.parametrize("problem", [{"kind": "knapsack"}, {}, {"kind": ["tsp"]}, "tsp"])
def test_an_unknown_kind_of_problem_names_the_known_ones(problem):
    with pytest.raises(
        UsageError, match=r"^problem(\.kind)?: .*(accepted: prompt, linear_regression|\bdict)"
    ):
        reading.build({"problem": problem})


def test_a_setting_newer_than_a_run_stood_at_its_default():
    new = json.loads(reading.build({}).canonical())
    old = {name: dict(table) for name, table in new.items() if name != "judge"}
    del old["search"]["patience"], old["task"]["kind"]
    assert reading.changes(old, new) == []
    assert reading.changes(
        old, json.loads(reading.build({}, ["task.kind=number"]).canonical())
    ) == ["task.kind was 'auto', now 'number'"]


def test_a_removed_setting_of_a_stored_run_must_have_stood_at_its_default():
    new = json.loads(reading.build({}).canonical())
    for name, default in reading.REMOVED.items():
        section, key = name.split(".")
        assert reading.changes({**new, section: {**new[section], key: default}}, new) == []
        (said,) = reading.changes({**new, section: {**new[section], key: "other"}}, new)
        assert said == f"{name} was 'other' and is removed: finish it with the version that made it"
        assert reading.build({section: {key: default}}) == reading.build({})
        assert reading.build({}, [f"{name}=false"]) == reading.build({})
        for value in (not default, "other"):
            with pytest.raises(UsageError, match=f"^{name} was removed: leave it out; a run made"):
                reading.build({section: {key: value}})


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_every_setting_refuses_a_wrong_type_by_its_name(section, field):
    with pytest.raises(UsageError, match=rf"^{section}\.{field}"):
        reading.build({section: {field: {"a": object()} if "args" not in field else 3}})


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_every_misspelt_setting_names_the_nearest(section, field):
    with pytest.raises(UsageError, match=r"did you mean|accepted"):
        reading.build({section: {field + "q": 1}})


def test_canonical_form_is_stable_and_complete():
    text = reading.build({}).canonical()
    assert text == reading.build({}).canonical() and set(json.loads(text)) == set(
        Config.model_fields
    )


def test_only_stop_rules_and_hosting_may_change():
    old = json.loads(reading.build({}).canonical())
    assert (
        reading.changes(
            old,
            json.loads(reading.build({}, ["search.steps=99", "scorer.max_num_seqs=4"]).canonical()),
        )
        == []
    )
    changed = reading.changes(
        old, json.loads(reading.build({}, ["search.candidates=4"]).canonical())
    )
    assert changed == ["search.candidates was 8, now 4"]


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[search\nsteps=")
    with pytest.raises(UsageError, match="not a TOML file"):
        reading.read(path)
    with pytest.raises(UsageError, match="can't read the config"):
        reading.read(tmp_path / "none.toml")


def test_data_paths_start_from_the_config_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('[task]\ndata = "d.csv"\n')
    assert reading.read(path).task.data == str(tmp_path / "d.csv")


def test_every_path_in_a_file_starts_from_it_and_one_on_the_command_line_from_here(
    tmp_path, monkeypatch
):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "c.toml"
    path.write_text(
        '\ufeff[task]\nrule = "rule.py:score"\ndata = "d.csv"\n[scorer]\nscript = "s.py:answer"\nmodel = "./mm"\n'
        '[optimizer]\nmodel = "owner/name"\n',
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    found = reading.read(path, ["task.data=e.csv", "optimizer.script=t.py:answer"])
    inside = str(tmp_path / "in")
    assert (
        found.task.rule == f"{inside}/rule.py:score"
        and found.scorer.script == f"{inside}/s.py:answer"
    )
    assert found.scorer.model == f"{inside}/mm" and found.optimizer.model == "owner/name"
    assert found.task.data == str(tmp_path / "e.csv") and found.optimizer.script == str(
        tmp_path / "t.py:answer"
    )
    assert reading.build({"task": {"rule": "labels"}}).task.rule == "labels"


def test_forms_and_similarity_in_a_file_start_from_it_and_what_is_no_path_stays(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        '[search]\nmetaprompt = "own.toml"\noperators = ["own.toml", "rewording"]\nsimilarity = "./minilm"\n'
        '[scorer]\nmodel = "."\nadapter = ""\nscript = ""\n[task]\nrule = "regex"\npattern = "app.py:main"\n'
    )
    found = reading.read(path, ["optimizer.adapter="])
    assert found.search.metaprompt == str(tmp_path / "own.toml")
    assert found.search.operators == (str(tmp_path / "own.toml"), "rewording")
    assert found.search.similarity == str(tmp_path / "minilm") and found.scorer.model == str(
        tmp_path
    )
    assert found.scorer.adapter == found.scorer.script == found.optimizer.adapter == ""
    assert found.task.pattern == "app.py:main"
    there = found.model_dump(mode="json")
    moved = json.loads(json.dumps(there).replace(f"{tmp_path}/own.toml", "/elsewhere/own.toml"))
    assert reading.changes(there, moved) == [] and there != moved
