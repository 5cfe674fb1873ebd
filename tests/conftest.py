"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import SCRIPT, write_reviews


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For pytest-xdist: a file's tests stay together, and one process at a time runs real models."""
    real = {item.path for item in items if item.get_closest_marker("real")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("real" if item.path in real else str(item.path)))


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
        "search": {"seeds": ["What is it?"], "steps": 4, "candidates": 4, "metaprompt": "continuation"},
        "run": {"seed": 3},
    }
