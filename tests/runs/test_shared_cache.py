"""A cache that others may write is not used: what they put in would be taken for answers."""

from __future__ import annotations

import os

import pytest

from opro_local.runs import cache as caches
from opro_local.runs.cache import Cache
from opro_local.types import Completion, Prompt, Request, Sampling

ASKED = [Request(Prompt("a"), Sampling(8))]
KEPT = Completion("A", "stop", 3, 1, 2)


@pytest.fixture
def folder(tmp_path):
    """A cache with one completion."""
    with_one = Cache(tmp_path / "cache")
    with_one.shelf({}).keep(ASKED, [KEPT])
    with_one.close()
    return tmp_path / "cache"


def asked(folder):
    """What the cache finds, and what it says."""
    said = []
    opened = Cache(folder, notify=said.append)
    found = opened.shelf({}).find(ASKED)
    opened.close()
    return found, said


def owned_by_another(path):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, -1)


SHARED = {
    "folder for the group": lambda folder: folder.chmod(0o770),
    "folder for all": lambda folder: folder.chmod(0o777),
    "folder with the sticky bit": lambda folder: folder.chmod(0o1777),
    "file for the group": lambda folder: (folder.chmod(0o750), (folder / caches.FILE).chmod(0o660)),
    "file for all": lambda folder: (folder.chmod(0o711), (folder / caches.FILE).chmod(0o666)),
    "folder of another": owned_by_another,
    "file of another": lambda folder: owned_by_another(folder / caches.FILE),
}


@pytest.mark.parametrize("how", SHARED)
def test_what_others_may_write_is_not_used(folder, how):
    SHARED[how](folder)
    found, said = asked(folder)
    assert found == [None] and len(said) == 1 and len(said[0].splitlines()) == 1
    assert "the generation cache is off" in said[0]
    assert ("others may write there" in said[0]) != ("belongs to another user" in said[0])


PRIVATE = {
    "as it was made": lambda folder: None,
    "others may read": lambda folder: folder.chmod(0o755),
    "an open file where nobody enters": lambda folder: (folder / caches.FILE).chmod(0o666),
}


@pytest.mark.parametrize("how", PRIVATE)
def test_what_is_ones_own_is_used(folder, how):
    PRIVATE[how](folder)
    assert asked(folder) == ([KEPT], [])


def test_a_folder_that_others_may_write_gets_no_cache(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert asked(tmp_path / "shared")[1]
    assert list((tmp_path / "shared").iterdir()) == []
