"""A model that is loaded when it is first asked.

For: engines that a function of the caller asks, which may never happen. Not for: the engines of a
run (run_engines.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.engines.start import start_engine
from opro_local.protocols import Engine, Progress
from opro_local.runs.hosting import Hosting
from opro_local.types import Completion, Prompt, Request


class LazyEngine(Engine):
    """A model that is loaded when it is first asked, and serves whoever shares this object.

    `fingerprint` and `max_model_len` are set when it is loaded, not before.
    """

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._engine: Engine | None = None

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        return self._loaded().generate(requests, progress)

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        return self._loaded().count_tokens(prompts)

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        if self._engine is not None:
            self._engine.close()

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine, _ = start_engine(self._hosting.settings, self._hosting.engine)
            self.fingerprint = self._engine.fingerprint
            self.max_model_len = self._engine.max_model_len
        return self._engine
