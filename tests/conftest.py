"""Fixtures that several test files share."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from running import ROOT, SCRIPT, write_reviews

from opro_local import network
from opro_local.feedback import Feedback

# No test opens a socket off this machine, nor does any worker or program that it starts.
network.guard()

# How long one example takes says nothing on a machine that does other things as well.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For pytest-xdist: a file's tests stay together, and one process at a time runs real models."""
    real = {item.path for item in items if item.get_closest_marker("real")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("real" if item.path in real else str(item.path)))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> Iterator[None]:
    """Ctrl-C stops this process and those that tests start, also where a script's "&" began it: a
    shell has such a program ignore it, and so would they.
    """
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if is_ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(autouse=True, scope="session")
def no_users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fixtures of whole modules run before `own_cache`: they don't touch the user's cache either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPRO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache; programs that a test starts inherit its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("OPRO_CACHE", str(folder))
    return folder


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Imports a bench script by its name and, given arguments, runs it as from the command line."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    def run(name: str, *arguments: str) -> ModuleType:
        module = importlib.import_module(f"bench_{name}")
        if arguments:
            monkeypatch.setattr(sys, "argv", [name, *arguments])
            module.main()
        return module

    return run


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV with 60 rows, half of them "positive"; the word "good" tells which."""
    return write_reviews(tmp_path / "reviews.csv")


@pytest.fixture
def tables(reviews: Path) -> dict:
    """Config tables of a small scripted run."""
    return {
        "task": {"data": str(reviews), "input": "text", "target": "label", "rule": "labels"},
        "scorer": {"engine": "scripted", "script": SCRIPT, "max_tokens": 8},
        "optimizer": {"engine": "scripted", "script": SCRIPT},
        "search": {
            "seeds": ["What is it?"],
            "steps": 4,
            "candidates": 4,
            "metaprompt": "continuation",
        },
        "run": {"seed": 3},
    }


@pytest.fixture
def feedback(tmp_path: Path) -> Iterator[Feedback]:
    """A feedback log with two prompts, "old" the champion and "new"."""
    with Feedback(tmp_path / "f.sqlite") as opened:
        opened.register("Old words", "old")
        opened.register("New words", "new")
        yield opened
