"""OPRO on your own hardware: improve prompts with local models.

import opro_local

result = opro_local.optimize(
    "mails.csv", input="text", target="label", model="./Qwen2.5-7B-Instruct", run="runs/a"
)
print(result.best.text, result.test.difference, result.verdict)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opro_local.errors import OproError
from opro_local.network import switch_off_network

if TYPE_CHECKING:
    from opro_local.api import apply, check, evaluate, optimize
    from opro_local.feedback import Feedback, Outcome
    from opro_local.report.page import write_report
    from opro_local.runs.objective import OPRO, Optimized
    from opro_local.runs.predicting import predict

__all__ = [
    "OPRO",
    "Feedback",
    "OproError",
    "Optimized",
    "Outcome",
    "apply",
    "check",
    "evaluate",
    "optimize",
    "predict",
    "write_report",
]
__version__ = "0.1.0"

_HOMES = {
    "optimize": "opro_local.api",
    "evaluate": "opro_local.api",
    "check": "opro_local.api",
    "OPRO": "opro_local.runs.objective",
    "Optimized": "opro_local.runs.objective",
    "apply": "opro_local.api",
    "write_report": "opro_local.report.page",
    "predict": "opro_local.runs.predicting",
    "Feedback": "opro_local.feedback",
    "Outcome": "opro_local.feedback",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: `--help` answers without them.

    From the first use of one on, the libraries that it stands on are kept off the network.
    """
    if name in _HOMES:
        switch_off_network()
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'opro_local' has no attribute {name!r}")
