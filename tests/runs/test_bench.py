"""The bench: what it counts, that both sides ask the same, its documented shape, and the two
scripts' sums.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
import typer
from running import ROOT, SCRIPT, real
from typer.testing import CliRunner

from opro_local.cli import bench as verb
from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs import bench
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.types import Completion, Prompt, Request, Sampling

NUMBER = (int, float)
FIGURES = {
    **{
        name: NUMBER
        for name in ("seconds", "tokens_in_per_second", "tokens_out_per_second", "cached_share")
    },
    "calls": int,
    "each": list,
}


@pytest.fixture
def found(tables):
    return bench.bench(reading.build(tables, ["task.train_rows=10"]), prompts=3, repeats=2)


def test_the_batch_is_what_was_asked_for_and_one_call(found):
    assert found["batch"] == {"rows": 10, "prompts": 3, "examples": 30, "repeats": 2}
    assert [found[side]["calls"] for side in ("cold", "phase", "raw")] == [1, 1, 1]
    assert [len(found[side]["each"]) for side in ("cold", "phase", "raw")] == [1, 2, 2]


def test_the_json_has_its_documented_shape(found):
    again = json.loads(json.dumps(found))
    assert list(again) == [
        *(
            "kind",
            "name",
            "batch",
            "cold",
            "phase",
            "raw",
            "ratio",
            "encoding",
            "schedule",
            "engine",
            "environment",
        )
    ]
    for side in ("cold", "phase", "raw"):
        more = {} if side == "raw" else {"engine_busy": NUMBER, "host_us_per_example": NUMBER}
        assert set(again[side]) == {*FIGURES, *more}
        assert all(
            isinstance(again[side][name], kind) for name, kind in {**FIGURES, **more}.items()
        )
    assert again["schedule"] == {
        "name": "full",
        "reason": "the search proposes as the paper's does",
        "running": 0,
    }
    assert set(again["ratio"]) == {"value", "lowest", "highest"}
    assert set(again["encoding"]) == {"seconds", "us_per_prompt", "share_of_phase"}
    assert (
        again["engine"]["scorer"]["engine"] == "scripted"
        and len(again["engine"]["scorer"]["model"]) == 16
    )
    machine = again["environment"]
    names = {
        "python",
        "platform",
        "cpu",
        "cores",
        "memory_bytes",
        "gpu",
        "gpu_driver",
        "versions",
        "load_average",
    }
    assert set(machine) == names
    assert (
        machine["cores"] >= 1
        and machine["memory_bytes"] > 1 << 28
        and "numpy" in machine["versions"]
    )
    assert [len(machine["load_average"][when]) for when in ("before", "after")] == [3, 3]
    documented = (ROOT / "docs" / "bench.md").read_text()
    for name in {
        *again,
        *FIGURES,
        *again["ratio"],
        *again["encoding"],
        *machine,
        "engine_busy",
        "host_us_per_example",
    }:
        assert f"`{name}`" in documented, name


class Clock:
    """Time that passes only when somebody says so."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Slow(ScriptedEngine):
    """Takes a second per call and a tenth to count tokens, and reports half of each prompt as
    cached.
    """

    def generate(self, requests, progress=None):
        self.clock.now += 1.0
        self.batches.append(list(requests))
        return [Completion("positive", "stop", 10, 5, 2) for _ in requests]

    def count_tokens(self, prompts):
        self.clock.now += 0.1
        return super().count_tokens(prompts)


def slow_engine() -> Slow:
    engine = Slow.of(lambda request: "positive")
    engine.batches, engine.clock = [], Clock()
    return engine


@pytest.fixture
def slow(monkeypatch):
    """The engine every role gets; beside its time, a scoring phase costs the host a quarter of a
    second.
    """
    engine, drive = slow_engine(), bench.drive

    def driven(*given):
        engine.clock.now += 0.25
        return drive(*given)

    monkeypatch.setattr(
        "opro_local.runs.run_engines.start_engine", lambda settings, wanted, log, own: (engine, "")
    )
    monkeypatch.setattr(bench, "time", engine.clock)
    monkeypatch.setattr(bench, "drive", driven)
    return engine


def test_both_sides_ask_the_same_and_every_second_pair_begins_with_raw(tables, slow, monkeypatch):
    sides = []
    for name in ("phase", "raw"):
        whole = getattr(bench._Sides, name)
        monkeypatch.setattr(
            bench._Sides, name, lambda self, n=name, w=whole: sides.append(n) or w(self)
        )
    bench.bench(reading.build(tables), prompts=2, repeats=3)
    assert sides == ["phase", "phase", "raw", "raw", "phase", "phase", "raw"]
    assert len(slow.batches) == 7 and all(batch == slow.batches[0] for batch in slow.batches)
    assert len(slow.batches[0]) == len({request.prompt for request in slow.batches[0]}) == 48


def test_the_figures_are_those_of_the_clock_and_of_the_engines_counts(tables, slow):
    found = bench.bench(reading.build(tables), prompts=2, repeats=3)
    phase, raw = found["phase"], found["raw"]
    assert phase["each"] == pytest.approx([1.25] * 3) and raw["each"] == pytest.approx([1.0] * 3)
    assert phase["tokens_in_per_second"] == pytest.approx(480 / 1.25)
    assert raw["tokens_out_per_second"] == pytest.approx(96)
    assert phase["cached_share"] == raw["cached_share"] == 0.5
    assert phase["engine_busy"] == pytest.approx(0.8)
    assert phase["host_us_per_example"] == pytest.approx(250_000 / 48)
    assert found["cold"]["seconds"] == pytest.approx(1.25)
    assert found["ratio"] == {name: pytest.approx(0.8) for name in ("value", "lowest", "highest")}
    encoding = {"seconds": 0.1, "us_per_prompt": 100_000 / 48, "share_of_phase": 0.1 / 1.25}
    assert found["encoding"] == pytest.approx(encoding)


def test_a_median_stands_over_the_passes():
    passes = [bench.Pass(seconds, 1.0, 1, 100, 25, 10) for seconds in (1.0, 9.0, 2.0)]
    assert bench.rates(passes) == {
        "seconds": 2.0,
        "tokens_in_per_second": 50.0,
        "tokens_out_per_second": 5.0,
        "cached_share": 0.25,
        "calls": 1,
        "each": [1.0, 9.0, 2.0],
    }


@pytest.mark.parametrize("number", [1, 5, 40])
def test_instructions_differ_and_begin_with_the_configs_own(tables, number):
    texts = bench.instructions(prompt_plan(reading.build(tables)), number)
    assert len(texts) == len(set(texts)) == number and texts[0] == "What is it?"


def test_at_most_a_hundred_rows_unless_asked(tables, reviews):
    header, *rows = reviews.read_text().splitlines()
    reviews.write_text(
        "\n".join([header, *(f"Round {i}: {row}" for i in range(10) for row in rows)]) + "\n"
    )
    assert bench.bench(reading.build(tables), 1, 1)["batch"]["rows"] == 100
    assert bench.bench(reading.build(tables, ["task.train_rows=150"]), 1, 1)["batch"]["rows"] == 150


def test_only_prompt_problems_have_rows():
    with pytest.raises(UsageError, match="tsp has no rows"):
        bench.bench(reading.build({"problem": {"kind": "tsp"}}))


def test_a_judge_is_measured_too(tables, tmp_path):
    (tmp_path / "grade.py").write_text("def grade(request):\n    return 'correct'\n")
    tables["task"]["rule"] = "judge"
    tables["judge"] = {"engine": "scripted", "script": f"{tmp_path / 'grade.py'}:grade"}
    found = bench.bench(reading.build(tables), 2, 1)
    assert found["phase"]["calls"] == found["raw"]["calls"] == 2 and set(found["engine"]) == {
        "scorer",
        "judge",
    }


def invoked(*arguments: str):
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command()(verb.bench)
    return CliRunner().invoke(app, ["bench", *arguments])


def scripted(reviews: Path) -> list[str]:
    return [
        *(
            "--data",
            str(reviews),
            "--input",
            "text",
            "--target",
            "label",
            "--model",
            "none",
            "--engine",
            "scripted",
        ),
        *("--set", f"scorer.script={SCRIPT}", "--rows", "8", "--prompts", "2", "--repeats", "1"),
    ]


def test_the_verb_prints_a_table_or_json(reviews):
    told = invoked(*scripted(reviews))
    assert told.exit_code == 0, told.output
    assert "2 prompts x 8 rows = 16 examples" in told.stdout
    assert re.search(r"phase/raw throughput \d\.\d{3} ", told.stdout)
    assert (
        "engine busy" in told.stdout and "load average" in told.stdout and "model " in told.stdout
    )
    assert json.loads(invoked(*scripted(reviews), "--json").stdout)["batch"]["examples"] == 16


def test_without_a_config_it_is_the_embedded_problem():
    config = bench.embedded(["task.train_rows=7", "scorer.max_tokens=5"])
    assert config.run.name == "demo" and len(prompt_plan(config).problem.rows["train"]) == 7


def test_the_verbs_own_ranges_hold(reviews):
    assert invoked(*scripted(reviews), "--repeats", "0").exit_code == 2


def test_the_reference_shape_asks_one_at_a_time_in_order(script, monkeypatch):
    shape = script("reference_shape")
    engine = slow_engine()
    monkeypatch.setattr(shape, "time", engine.clock)
    requests = [Request(Prompt(str(i)), Sampling(4)) for i in range(3)]
    seconds, found = shape.one_by_one(engine, requests)
    assert (
        seconds == 3.0 and engine.batches == [[request] for request in requests] and len(found) == 3
    )
    assert shape.in_one_batch(engine, requests)[0] == 1.0 and engine.batches[3:] == [requests]
    assert shape.row("x", 3, [(2.0, found)]).split() == ["x", "3", "2.00", "15", "3.0", "50.0"]


def test_throughput_compares_pair_by_pair(script):
    throughput = script("throughput")
    raw, phase = (
        [(bench.Pass(seconds, 1, 1, 1, 0, 1), cpu)] for seconds, cpu in ((1.0, 3.0), (2.0, 4.0))
    )
    assert throughput.against(raw, phase) == ([0.5], [0.75])
    before = time.process_time()
    busy = throughput.cpu_seconds(os.getpid())
    # The kernel counts in hundredths of a second.
    assert before - 0.1 <= busy <= time.process_time() + 0.1


def test_growth_counts_per_example_and_resumes_to_the_same(script, tmp_path):
    growth = script("growth")
    assert growth.each({"examples": 100, "host": 0.5}) == pytest.approx(5000)
    data = tmp_path / "rows.csv"
    data.write_text("question,answer\n" + "".join(f"How many {i}?,{i % 7}\n" for i in range(12)))
    first, again = (growth.one(tmp_path / "run", data, 2, 3) for _ in range(2))
    assert first["digest"] == again["digest"] and first["examples"] == again["examples"] >= 24


@pytest.mark.real
@pytest.mark.long
def test_the_phase_costs_what_the_engine_costs():
    real("vllm")
    config = bench.embedded(["task.train_rows=20", 'scorer.engine="vllm"'])
    found = bench.bench(config, prompts=4, repeats=3)
    assert found["phase"]["engine_busy"] > 0.95 and found["ratio"]["highest"] > 0.9
    assert found["phase"]["cached_share"] == pytest.approx(found["raw"]["cached_share"], abs=0.02)
