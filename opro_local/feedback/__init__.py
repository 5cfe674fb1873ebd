"""Continuous improvement from production: log outcomes, search again from them, let champion and
challenger compete.

For: `Feedback` and `Outcome`, which a service imports. The rooms: outcomes.py (what one outcome
is), file.py (the SQLite file), log.py (`Feedback`), decisions.py (who is champion), sequential.py
(the test, pure functions), experiment.py (champion against challenger), standing.py (how each
prompt stands), reoptimize.py (a new search). Not for: anything a search does. May import: runs,
scoring, tasks, config, stats, files, errors.
"""

from __future__ import annotations

from opro_local.feedback.log import Feedback
from opro_local.feedback.outcomes import Outcome

__all__ = ["Feedback", "Outcome"]
