"""What a package index shows of the README: the same text without what leads nowhere there.

For: hatchling, which calls it when it builds (pyproject.toml). Not for: `opro-local docs`, whose
README is the file as it is. The project has no public address, so that neither its pictures nor its
pages can be linked to; a page is named by the command that shows it.
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https://)[^)]*\)\n+", re.MULTILINE)
LINK = re.compile(
    r"""
    \[ (?P<words> [^\]]+ ) \]
    \( (?!https://) (?:docs/)? (?P<page> [^)#]+? ) (?:/README)? (?:\.md)? (?:\#[^)]*)? \)
    """,
    re.VERBOSE,
)


def standing_alone(readme: str) -> str:
    """The README without pictures, its links to pages as `opro-local docs PAGE`."""
    return LINK.sub(_command, PICTURE.sub("", readme))


def _command(link: re.Match[str]) -> str:
    command = f"`opro-local docs {link['page']}`"
    # Where a link's words are the page's file there is nothing more to say.
    is_file = link["words"].startswith("docs/")
    return command if is_file else f"{link['words']} ({command})"


class IndexPage(MetadataHookInterface):
    """Gives hatchling the text."""

    def update(self, metadata: dict) -> None:
        readme = Path(self.root, "README.md").read_text("utf-8")
        text = standing_alone(readme)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
