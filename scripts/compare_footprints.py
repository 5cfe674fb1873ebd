"""The family table: what the planner counts of each model, beside accelerate's figure.

For: `python scripts/compare_footprints.py`, which prints the table of docs/benchmarks. Each model is
a published config.json (tests/models/families.json) and a safetensors file whose header is that of
the model transformers makes of it on the meta device, and whose body is a hole. Nothing is
downloaded and no weight exists. accelerate's figure is `calculate_maximum_sizes` of that model, what
`accelerate estimate-memory` prints, at 16 bits. Not for: what a GPU really takes.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from opro_local.models.footprint import footprint

FAMILIES = Path(__file__).parent.parent / "tests" / "models" / "families.json"
GIB = 1 << 30


def empty_models(config: dict[str, Any], folder: Path) -> tuple[Any, Any]:
    """The model of this config without any weight: with its head, and as accelerate builds it."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )

    unquantized = {name: value for name, value in config.items() if name != "quantization_config"}
    (folder / "config.json").write_text(json.dumps(unquantized))
    loaded = AutoConfig.from_pretrained(folder)
    with_head = AutoModelForImageTextToText if "vision_config" in config else AutoModelForCausalLM
    with torch.device("meta"):
        whole = with_head.from_config(loaded, dtype=torch.float32)
        return whole, AutoModel.from_config(loaded, dtype=torch.float32)


def write_header(model: Any, file: Path) -> int:
    """A safetensors file with this model's tensors in 16 bits, and a hole for their numbers.

    Returns:
        how many numbers they have; tied ones once.
    """
    table, end = {}, 0
    for name, tensor in model.named_parameters():
        size = 2 * tensor.numel()
        offsets = [end, end + size]
        table[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": offsets}
        end += size
    header = json.dumps(table).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + end)
    return end // 2


def main() -> None:
    from accelerate.utils import calculate_maximum_sizes

    wanted = sys.argv[1:]
    print("| model | parameters | ours | accelerate | KV a token | 8192 tokens | on each of 8 |")
    print("|---|---|---|---|---|---|---|")
    for name, known in json.loads(FAMILIES.read_text()).items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            whole, headless = empty_models(known["config"], folder)
            parameters = write_header(whole, folder / "model.safetensors")
            accelerate = calculate_maximum_sizes(headless)[0] // 2
            ours = footprint(folder)
            token = ours.kv_bytes(2) - ours.kv_bytes(1)
            print(
                f"| {name} | {parameters:,} ({known['parameters']:,}) | "
                f"{ours.weights() / GIB:.2f} | {accelerate / GIB:.2f} | {token:,.0f} | "
                f"{ours.kv_bytes(8192):,} | {ours.kv_bytes(8192, tensor=8):,} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
