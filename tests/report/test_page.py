"""A run's page: what it says, that nothing in it but our script can run, and that it stays the same."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from html_tags import Tags
from running import SCRIPT, program, write_reviews

import opro_local
from opro_local.config import reading
from opro_local.errors import DamageError, StoreError, UsageError
from opro_local.problems.prompt.alarms import Alarm
from opro_local.report.charts import Point, progress_chart
from opro_local.report.config_text import toml_of
from opro_local.report.gathering import gather
from opro_local.report.html import cut, without_folders
from opro_local.report.page import page, write_report
from opro_local.report.phases import costs_by_phase
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.reading import describe
from opro_local.runs.run import run

HOSTILE = "</style><script>alert(1)</script>\u202e\x1b]0;x\x07 {{ 7*7 }} " + "long " * 4000


def config_of(folder: Path, seeds=("What is it?",), **search):
    if not (folder / "reviews.csv").exists():
        write_reviews(folder / "reviews.csv")
    scripted = {"engine": "scripted", "script": SCRIPT}
    return reading.build(
        {
            "task": {
                "data": str(folder / "reviews.csv"),
                "input": "text",
                "target": "label",
                "rule": "labels",
            },
            "scorer": {**scripted, "max_tokens": 8},
            "optimizer": scripted,
            "search": {"seeds": list(seeds), "steps": 3, "candidates": 3, **search},
            "run": {"seed": 3, "cache": False},
        },
        [],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a search, an evaluation, and a search that began with a hostile text."""
    folder = tmp_path_factory.mktemp("made")
    run(config_of(folder), folder / "search")
    run(
        evaluation_plan(config_of(folder, seeds=["What is it?", "Read it."])), folder / "evaluation"
    )
    hostile = config_of(folder, seeds=[HOSTILE], mode="opro", steps=1)
    run(hostile, folder / "hostile")
    return folder


def html_of(folder: Path, tmp_path: Path) -> str:
    return write_report(folder, tmp_path / "page.html").read_text("utf-8")


def test_a_search_is_told_with_its_figures(made, tmp_path):
    html = html_of(made / "search", tmp_path)
    result, text = describe(made / "search"), Tags(html).text
    for sides in (result.train, result.validation, result.test):
        for figures in (sides.baseline, sides.best):
            low, high = (f"{100 * end:.1f}" for end in figures.interval)
            assert f"{100 * figures.accuracy:.1f} %" in text
            assert f"{low}–{high}\u00a0%" in text
    assert f"{100 * result.test.gain.content:+.1f}" in text
    for said in (result.verdict, result.digest, result.best.text, "chosen by it", *result.summary):
        assert said in text
    entries = html.count('<g class="mark op')
    whole = re.findall(r"<title>step \d+", html)
    assert entries == len(whole) > 3


def test_an_evaluation_is_told_with_every_prompt(made, tmp_path):
    text = Tags(html_of(made / "evaluation", tmp_path)).text
    outcome = describe(made / "evaluation").evaluation
    for prompt in outcome.prompts:
        assert prompt.text in text
        assert f"{100 * prompt.figures.accuracy:.1f} %" in text
    assert f"{100 * outcome.pairs[0].difference.value:+.1f}" in text


def test_only_the_pages_own_script_can_run(made, tmp_path):
    for name in ("search", "evaluation", "hostile"):
        html = html_of(made / name, tmp_path)
        tags = Tags(html).tags
        policy = next(own["content"] for tag, own in tags if own.get("http-equiv"))
        assert policy.startswith("default-src 'none'; ")
        for kind in ("script", "style"):
            (source,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
        assert [tag for tag, _ in tags].count("script") == 1
        for _, own in tags:
            assert not [key for key in own if key.startswith("on") or key in ("style", "src")]
            assert own.get("href", "#").startswith(("#", "data:,"))
        assert "http://" not in html and "https://" not in html


def test_hostile_texts_are_text(made, tmp_path):
    html = html_of(made / "hostile", tmp_path)
    text = Tags(html).text
    assert "\u202e" not in html and "\x1b" not in html
    assert "</style><script>alert(1)</script>\\u202e\\x1b]0;x\\x07 {{ 7*7 }} long" in text
    assert re.search(r"long … \(5[01] more characters\)", text)
    assert len(html) < 200_000


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(made, tmp_path):
    moved = shutil.copytree(made / "search", tmp_path / "elsewhere" / "search")
    assert html_of(made / "search", tmp_path) == html_of(moved, tmp_path)


def test_the_config_on_the_page_makes_the_run_again(made, tmp_path):
    config = config_of(made, seeds=['A "quoted"\n\\text \x7f 日本'], demonstrations=2)
    file = tmp_path / "run.toml"
    file.write_text(toml_of(config.model_dump(mode="json")), "utf-8")
    tomllib.loads(file.read_text("utf-8"))
    assert reading.read(file, []).canonical() == config.canonical()


def test_a_damaged_run_is_refused(made, tmp_path):
    copy = shutil.copytree(made / "search", tmp_path / "run")
    (copy / "result.json").write_text("{}")
    store = (copy / "run.sqlite").read_bytes()
    (copy / "run.sqlite").write_bytes(store.replace(b"What is it?", b"What is IT?"))
    with pytest.raises(DamageError, match="nothing is shown of a damaged run"):
        write_report(copy)
    assert not (copy / "report.html").exists()
    with pytest.raises(StoreError, match="there is no run here"):
        write_report(tmp_path / "none")


def test_the_verb_prints_the_path_last(made, tmp_path):
    came = program("report", str(made / "search"), "--output", str(tmp_path / "page.html"))
    assert came.returncode == 0, came.stderr
    assert came.stdout.splitlines()[-1] == str(tmp_path / "page.html")


def test_costs_add_up_by_phase_and_the_engine_s_share_of_the_time_is_told():
    def call(label, role, seconds, at):
        counts = {"requests": 2, "known": 1, "prompt_tokens": 10, "completion_tokens": 3}
        return {
            "label": label,
            "role": role,
            "seconds": seconds,
            "finished_at": f"2026-01-01T00:00:{at:02}+00:00",
            **counts,
        }

    calls = [
        call("0/train", "scorer", 2.0, 2),
        call("1/propose", "optimizer", 3.0, 10),
        call("1/train/leaders", "scorer", 5.0, 20),
    ]
    costs = costs_by_phase(calls)
    told = [
        (one.name, one.role, one.calls, one.prompt, one.seconds, one.share) for one in costs.phases
    ]
    assert told == [("train", "scorer", 2, 20, 7.0, 0.7), ("propose", "optimizer", 1, 10, 3.0, 0.3)]
    assert costs.elapsed == 20.0 and costs.busy == 0.5
    assert costs_by_phase(calls[:1]).busy is None


def test_marks_stand_where_their_values_are():
    points = [Point(0, 0.5, (0.2, 0.8), "a"), Point(1, 0.75, None, "b"), Point(2, 0.25, None, "c")]
    chart = progress_chart(points)
    assert chart.marks[1].y < chart.marks[0].y == chart.baseline
    assert [mark.x for mark in chart.marks] == [70.0, 404.0, 738.0]
    heights = {round(tick.value, 6): tick.at for tick in chart.up}
    assert heights[0.4] - heights[0.6] == pytest.approx(heights[0.2] - heights[0.4], abs=0.2)
    assert (
        chart.best
        == f"M70.0 {chart.baseline:.1f}H404.0V{chart.marks[1].y:.1f}H738.0V{chart.marks[1].y:.1f}"
    )
    assert progress_chart([Point(0, float("-inf"), None, "d")]) is None


def test_what_is_cut_says_by_how_much():
    assert cut("abc", 3) == "abc"
    assert cut("abcde", 3) == "abc … (2 more characters)"


def test_a_row_is_named_without_this_machines_folders():
    said = without_folders("/home/me/my data/rows.csv:2: 'and/or: yes' (target 'a/b')")
    assert said == "rows.csv:2: 'and/or: yes' (target 'a/b')"
    assert without_folders("rows.csv:2: a/b") == "rows.csv:2: a/b"
    assert without_folders("no place") == "no place"


@pytest.mark.parametrize("name", ["search", "evaluation"])
def test_an_alarm_s_rows_are_named_without_folders(made, name):
    contents = gather(made / name)
    alarm = Alarm("cut", "All were cut.", (f"{made}/reviews.csv:2: 'a<b>/c'",), "Raise it.")
    alarmed = dataclasses.replace(contents.result, alarms=(alarm,))
    html = page(dataclasses.replace(contents, result=alarmed))
    assert "<strong>Alarm.</strong> All were cut. Raise it.</summary>" in html
    assert "<li>reviews.csv:2: &#39;a&lt;b&gt;/c&#39;</li>" in html
    assert str(made) not in html.partition('id="h-proof"')[0]


def test_a_result_is_reported_on_from_python(made, tmp_path):
    result = describe(made / "search")
    page = opro_local.write_report(result, tmp_path / "page.html")
    assert (
        page.read_bytes()
        == opro_local.write_report(str(made / "search"), tmp_path / "same").read_bytes()
    )
    with pytest.raises(UsageError, match="no run to report on"):
        opro_local.write_report(dataclasses.replace(result, folder=None))
