"""Loads a model with transformers, and refuses one whose weights are not those that its config
tells of.

For: the transformers engine. Not for: whether the folder is whole (models/completeness.py) or
trusted (models/trust.py).

transformers fills what a folder lacks with random numbers and says so in its log alone: a config
with a layer more than the weights gives a model that answers nonsense.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.engines import trusted
from opro_local.engines.disk_faults import disk_fault
from opro_local.engines.settings import EngineSettings
from opro_local.errors import EngineError, ModelError
from opro_local.models import trust

COMPLETE = "check that the folder is complete, and that config.json is the one of these weights"
LONGEST = 400  # characters of what a library says
# A tensor of the language model's layers, and which layer's.
LAYER = re.compile(
    r"""
    (?: model \. | language_model \. | transformer \. | gpt_neox \. | decoder \. )*
    (?: layers | h | blocks ) \. (?P<number> \d+ ) \.
    """,
    re.VERBOSE,
)


def load(settings: EngineSettings) -> Any:
    """The model of these settings, on the GPU where there is one.

    Raises:
        ModelError: it does not load, or its weights and its config do not belong together.
        EngineError: memory ran out, or a path can't be read or written.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    trusted.check_settings(settings)
    cuda = torch.cuda.is_available()
    # bfloat16 is several times slower than float32 on a CPU without AVX-512.
    dtype = settings.dtype if cuda or settings.dtype != "auto" else "float32"
    placed = {"device_map": "auto"} if cuda else {}
    broken = (OSError, ValueError, LookupError, ImportError, RuntimeError, AttributeError)
    miscounted = (ArithmeticError, TypeError)  # a config with no heads, or with text for a number
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            settings.model,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=bool(settings.trusted_code),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `_check` names the tensor, transformers does not
            **placed,
            **{"use_safetensors": not trust.is_pickled(Path(settings.model))},
            **settings.engine_args,
        )
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "the model does not fit the GPU", "use a smaller model or dtype"
        ) from error
    except (*broken, *miscounted, StrictDataclassError, SafetensorError) as error:
        raise refusal(error, settings.model) from error
    model, report = loaded
    _check(settings.model, report, model.config.get_text_config())
    return model.eval()


def refusal(error: Exception, model: str) -> EngineError | ModelError:
    """What is wrong where a library does not load a model: a path that could not be used, which is
    often a cache's, else the model.
    """
    damaged = ModelError(f"{model} does not load: {said(error)}", COMPLETE)
    return disk_fault(error, model) or damaged


def said(error: Exception) -> str:
    """What an error says, in one line; with its kind where it names a thing only."""
    text = " ".join(str(error).split())[:LONGEST]
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) or not text else text


def _check(folder: str, report: Mapping[str, Any], config: Any) -> None:
    """Refuse what transformers has filled with random numbers, and layers that it left out."""
    mismatched = sorted(report.get("mismatched_keys") or ())
    if mismatched:
        name, stored, expected = mismatched[0]
        raise ModelError(
            f"{folder}: {name} has the shape {_shape(stored)}, and {_shape(expected)} by "
            f"config.json{_more(mismatched)}",
            COMPLETE,
        )
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise ModelError(f"{folder}: its weights lack {missing[0]}{_more(missing)}", COMPLETE)
    count = getattr(config, "num_hidden_layers", None)
    # Layers that guess several tokens ahead stand behind the others, and are not loaded.
    if not isinstance(count, int) or getattr(config, "num_nextn_predict_layers", None):
        return
    layers = (LAYER.match(name) for name in sorted(report.get("unexpected_keys") or ()))
    beyond = [match for match in layers if match and int(match["number"]) >= count]
    if beyond:
        raise ModelError(
            f"{folder}: its weights have a layer {beyond[0]['number']}, and {count} layers by "
            "config.json",
            COMPLETE,
        )


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _more(names: Sequence[Any]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""
