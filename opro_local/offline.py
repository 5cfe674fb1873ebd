"""What keeps the process off the network, and the way from a model reference to a local folder.

For: environment switches set before any heavy import, and finding models on disk. Not for: loading models or cards.
"""

from __future__ import annotations

import os

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "true",
}


def switch_off_network() -> None:
    """Set the offline switches of every library used. Call before importing torch, transformers, datasets or vllm."""
    os.environ.update(SWITCHES)
