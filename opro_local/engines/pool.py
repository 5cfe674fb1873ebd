"""Running engines that several runs share.

For: the same engines for all runs that ask for the same. Not for: starting them, or planning their
memory; the first run does both, and what it planned holds for those that join it.
"""

from __future__ import annotations

from collections.abc import Mapping

from opro_local.types import Engine, EngineSettings, Role

Asked = Mapping[Role, tuple[tuple[EngineSettings, str], str]]


class EnginePool:
    """Engines by what was asked for. Whoever made the pool closes it; runs only use it."""

    def __init__(self) -> None:
        self._running: list[tuple[Asked, dict[Role, Engine]]] = []

    def find(self, asked: Asked) -> dict[Role, Engine]:
        """The engines of a run that asked for the same settings in each of these roles; empty if
        there is none.

        Args:
            asked: the settings and the adapter of each role, and the engine wanted, "auto" or a
                name; "auto" takes what runs.
        """
        for known, engines in self._running:
            if all(
                role in known
                and known[role][0] == settings
                and wanted in ("auto", known[role][1], engines[role].fingerprint["engine"])
                for role, (settings, wanted) in asked.items()
            ):
                return {role: engines[role] for role in asked}
        return {}

    def add(self, asked: Asked, engines: Mapping[Role, Engine]) -> None:
        """Take over engines that a run has started."""
        self._running.append((asked, dict(engines)))

    def close(self) -> None:
        """Stop all engines. Safe to call twice."""
        while self._running:
            for engine in self._running.pop()[1].values():
                engine.close()
