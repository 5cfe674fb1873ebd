"""scripts/audit.py: weaknesses are named, and advisories that can't be reached are said aloud."""

from __future__ import annotations

import importlib
import json

import pytest
from running import ROOT


@pytest.fixture
def audit(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("audit")


def said(*dependencies):
    return json.dumps({"dependencies": dependencies, "fixes": []})


SOUND = {"name": "numpy", "version": "2.0", "vulns": []}
OWN = {"name": "opro-local", "skip_reason": "Dependency not found on PyPI"}
WEAK = {
    "name": "torch",
    "version": "2.6",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["2.7", "2.8"]},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}


@pytest.mark.parametrize(
    ("answer", "complaints", "lines", "weak"),
    [
        (
            said(SOUND, OWN),
            "",
            ["pip-audit: 1 distributions, 0 known weaknesses, 1 not on the index"],
            0,
        ),
        (
            said(SOUND, WEAK),
            "",
            [
                "WARNING: torch 2.6: PYSEC-1 (fixed in 2.7, 2.8)",
                "WARNING: torch 2.6: PYSEC-2 (fixed in no version yet)",
                "pip-audit: 2 distributions, 2 known weaknesses, 0 not on the index",
            ],
            2,
        ),
        (
            said(OWN),
            "",
            ["pip-audit SKIPPED: no advisories were reached (Dependency not found on PyPI)"],
            0,
        ),
        ("", "a\nConnectionError: x\n", ["pip-audit SKIPPED: no advisories were reached (ConnectionError: x)"], 0),
        ("[]", "", ["pip-audit SKIPPED: no advisories were reached (it said nothing)"], 0),
    ],
)  # fmt: skip
def test_what_is_printed(audit, answer, complaints, lines, weak):
    assert audit.report(answer, complaints) == (lines, weak)


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--strict"], 1)])
def test_weaknesses_fail_only_where_that_is_asked(audit, monkeypatch, arguments, code):
    monkeypatch.setattr(audit, "asked", lambda: (said(WEAK), ""))
    monkeypatch.setattr(audit.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr("sys.argv", ["audit", *arguments])
    assert audit.main() == code


def test_a_missing_program_is_said_aloud(audit, monkeypatch, capsys):
    monkeypatch.setattr(audit.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["audit"])
    assert audit.main() == 0 and "SKIPPED: it is not installed" in capsys.readouterr().out
