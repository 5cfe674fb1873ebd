"""OPRO on your own hardware: improve prompts with local models.

import opro_local

result = opro_local.optimize("mails.csv", input="text", target="label", model="./Qwen2.5-7B-Instruct", run="runs/a")
print(result["best"]["text"], result["test"]["difference"], result["verdict"])
"""

from opro_local.errors import OproError
from opro_local.run import optimize

__all__ = ["OproError", "optimize"]
__version__ = "0.1.0"
