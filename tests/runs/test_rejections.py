"""Searches whose optimizer gives little or nothing: what is said on the way and at the end."""

from __future__ import annotations

import pytest
from running import SCRIPT, write_reviews
from scripted_model import answer

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs.driver import run_to_end
from opro_local.runs.events import Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.run import run_steps


def searched(tmp_path, monkeypatch, reply, **search):
    """The result of a search whose optimizer replies `reply(n)` to its n-th request, and what was
    said on the way.
    """
    count = iter(range(10**6))

    def script(request):
        return answer(request) if request.sampling.seed is None else reply(next(count))

    monkeypatch.setattr("opro_local.engines.scripted._load", lambda name: script)
    monkeypatch.setattr("opro_local.runs.run_engines.start_engine", started_here)
    role = {"engine": "scripted", "script": SCRIPT, "model": "none"}
    tables = {
        "task": {
            "data": str(write_reviews(tmp_path / "reviews.csv")),
            "input": "text",
            "target": "label",
        },
        "scorer": role,
        "optimizer": role,
        "search": {
            "mode": "opro",
            "metaprompt": "continuation",
            "seeds": ["What is it?"],
            "steps": 3,
            "candidates": 4,
            **search,
        },
        "run": {"cache": False},
    }
    said: list[str] = []
    plan = make_plan(reading.build(tables))
    steps = run_steps(plan, tmp_path / "run", Listener(notify=said.append))
    return run_to_end(steps), [line for line in said if "proposals were rejected" in line]


def started_here(settings, *_, **__):
    """The scripted engine in this process, whose script a test has made, and no notice."""
    return ScriptedEngine(settings), None


@pytest.mark.parametrize(
    ("reply", "search", "reason", "advice"),
    [
        (lambda n: "What is it?", {}, "the same text every time", "optimizer.temperature"),
        (lambda n: " " * n, {}, "nothing usable: 12 of 12 replies rejected (12 empty)", "form"),
        (
            lambda n: f"Say {n} words",
            {"digits": "reject"},
            "(12 digits in it)",
            'search.digits = "allow"',
        ),
        (
            lambda n: f"{'Long ' * 9} {n}",
            {"max_words": 3},
            "(12 too long)",
            "search.max_characters",
        ),
        (lambda n: f"Say yes {n}", {"required": ["it?"]}, "(12 missing)", "search.required"),
    ],
)
def test_a_search_that_could_not_search_says_so(
    tmp_path, monkeypatch, reply, search, reason, advice
):
    result, said = searched(tmp_path, monkeypatch, reply, **search)
    assert reason in result.reason and advice in result.reason
    assert result.verdict == "no usable proposals"
    assert not any("no reliable gain" in line for line in result.summary)
    assert any(reason in line for line in result.summary)
    # After 8 replies of 12; the next would come after 16.
    assert len(said) == 1 and advice in said[0]


def test_a_search_with_one_new_text_that_comes_again_and_again_says_so(tmp_path, monkeypatch):
    result, _ = searched(tmp_path, monkeypatch, lambda n: "Is it good?")
    assert "the same text every time" in result.reason


def test_the_same_text_behind_other_openers_is_the_same(tmp_path, monkeypatch):
    mixed = {"mode": "mixed", "metaprompt": "auto", "operators": ["rewording"], "demonstrations": 0}
    mixed |= {"written_seeds": 0, "generic_seeds": 0, "near_duplicate": 1.0}
    result, _ = searched(tmp_path, monkeypatch, lambda n: "Classify.", **mixed)
    assert "the same text every time" in result.reason
    assert result.verdict == "no usable proposals"
    assert result.search.solutions > 4


def test_different_texts_behind_openers_are_a_search(tmp_path, monkeypatch):
    mixed = {"mode": "mixed", "metaprompt": "auto", "operators": ["rewording"], "demonstrations": 0}
    mixed |= {"written_seeds": 0, "generic_seeds": 0, "near_duplicate": 1.0}
    result, _ = searched(tmp_path, monkeypatch, lambda n: f"the {'very ' * (n % 3)}text", **mixed)
    assert result.reason == "all 3 steps done"


def test_a_search_with_new_texts_ends_as_before(tmp_path, monkeypatch):
    result, said = searched(tmp_path, monkeypatch, lambda n: f"Read it {'again ' * n}")
    assert result.reason == "all 3 steps done" and said == []
    assert result.verdict in ("reliable gain", "no reliable gain")


def test_half_of_the_replies_is_nothing_to_speak_of(tmp_path, monkeypatch):
    _, said = searched(tmp_path, monkeypatch, lambda n: f"Read it {'again ' * n}" * (n % 2))
    assert said == []


@pytest.mark.parametrize("name", ["target_score", "threshold", "min_gain"])
def test_a_score_above_1_is_refused_where_scores_are_shares(tmp_path, monkeypatch, name):
    with pytest.raises(UsageError) as error:
        searched(tmp_path, monkeypatch, str, **{name: 80})
    assert f"search.{name} = 80" in error.value.message and "80 % is 0.8" in error.value.hint
