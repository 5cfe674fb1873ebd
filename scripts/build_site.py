"""Build docs/, the README and a reference as a site that opens from a disk: python scripts/build_site.py FOLDER

For: a site's own web server, or a browser that opens the files (without search, which browsers
allow on a server only). It needs `pip install 'opro-local[docs]'` (zensical) and no network, neither
while it is built nor while it is read: fonts are the system's, and a Content-Security-Policy lets a
browser load nothing from elsewhere.
Not for: `opro-local docs`, which shows the same pages on a terminal.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from site_reference import write_reference

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """
[project]
site_name = "opro-local"
docs_dir = "docs"
site_dir = "site"
use_directory_urls = false
nav = {nav}
extra = {{ generator = false }}
plugins = [ "search" ]

[project.theme]
font = false
custom_dir = "theme"
features = [ "navigation.path", "content.code.copy", "search.highlight" ]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
"""
# What a page may load: the site's own files. Scripts and styles within a page are the theme's.
POLICY = """{% extends "base.html" %}
{% block extrahead %}
<meta http-equiv="Content-Security-Policy" content="default-src 'self' file: data: blob:; \
script-src 'self' file: blob: 'unsafe-inline'; style-src 'self' file: 'unsafe-inline'">
{% endblock %}
"""
# The pages by what a reader wants. Pages that stand nowhere here come last, so that none is lost.
CHAPTERS = {
    "Start": ("index", "install", "own-rows", "examples", "python", "supported"),
    "Search": ("search", "config", "metaprompts", "scoring", "tasks", "label-probability"),
    "Results": ("result", "trusting", "report", "exports", "evaluate"),
    "When something is in the way": ("troubleshooting", "check", "resuming", "reliability"),
    "Models": (
        *("choosing-models", "engines", "models", "placement", "cache", "racing", "lockstep"),
        "bench",
    ),
    "Many runs and production": (
        *("sweeps", "ray", "slurm", "tracking", "plugins", "paper", "feedback", "agent-files"),
    ),
    "Other problems": ("anything", "numeric", "sql", "scoring-opro"),
    "On your own site": ("air-gap", "security", "architecture"),
    "Reference": ("reference/python", "reference/settings"),
}


def prepare(folder: Path) -> None:
    """Put the pages, the theme's one change and the config into a folder."""
    docs = folder / "docs"
    shutil.copytree(ROOT / "docs", docs)
    write_reference(docs)
    readme = (ROOT / "README.md").read_text("utf-8")
    (docs / "index.md").write_text(readme.replace("](docs/", "]("), "utf-8")
    (folder / "theme").mkdir()
    (folder / "theme" / "main.html").write_text(POLICY, "utf-8")
    (folder / "zensical.toml").write_text(CONFIG.format(nav=_nav(docs)), "utf-8")


def _nav(docs: Path) -> str:
    """The chapters with the pages that are there, as TOML; of plain values JSON is TOML as well."""
    pages = {
        str(page.relative_to(docs)).removesuffix(".md").removesuffix("/README"): page
        for page in sorted(docs.rglob("*.md"))
    }
    chapters: dict[str, list[Path]] = {}
    for chapter, names in CHAPTERS.items():
        chapters[chapter] = [pages.pop(name) for name in names if name in pages]
    for name in [name for name in pages if name.startswith("examples/")]:
        chapters["Start"].append(pages.pop(name))
    for name in [name for name in pages if name.startswith("benchmarks/")]:
        chapters.setdefault("Measured", []).append(pages.pop(name))
    chapters["Further pages"] = list(pages.values())
    entries = [
        f"{{ {json.dumps(chapter)} = {json.dumps([str(file.relative_to(docs)) for file in files])} }}"
        for chapter, files in chapters.items()
        if files
    ]
    return f"[{', '.join(entries)}]"


def build(target: Path) -> None:
    """Build the site into a folder that is not there yet. SystemExit with a line if it can't."""
    if find_spec("zensical") is None:
        sys.exit("build_site.py: zensical is not installed; pip install 'opro-local[docs]'")
    if target.exists():
        sys.exit(f"build_site.py: {target} is there already; name a new folder")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        came = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False)
        if came.returncode:
            sys.exit(f"build_site.py: zensical failed\n{came.stdout}{came.stderr}")
        shutil.copytree(Path(name, "site"), target)
    (target / "sitemap.xml").unlink(missing_ok=True)  # for search engines, which don't come here


def main() -> None:
    parser = argparse.ArgumentParser(description=re.sub(r"\n\n.*", "", __doc__, flags=re.DOTALL))
    parser.add_argument("folder", type=Path, help="where the site goes; it must not be there yet")
    folder = parser.parse_args().folder
    build(folder)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
