"""Which tensors of a model for texts and images or sound are not of its language model.

For: counting what vLLM leaves out with `language_model_only`. Not for: which engine does so
(placement/demand.py), or bytes (footprint.py). The names are those under which vLLM 0.32's models
mark their towers and what joins them to the language model; one that is not here counts as loaded,
too much rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Where a config speaks of images or sound. A text model has none of these.
PARTS = ("vision_config", "audio_config", "visual_config", "vit_config", "sound_config")
# Where it speaks of its language model apart, so that the engine knows that there is one.
TEXTS = ("text_config", "thinker_config")
# These write it flat, and their config class divides it.
FLAT = ("qwen2_vl", "qwen2_5_vl")
TOWER = re.compile(
    r"""
    (?: model \. | thinker \. )*
    (?:
        visual | vision | vision_ (?: tower | model | encoder | backbone | embed_tokens )
      | vit_model | vpm | apm | visual_tokenizer | vte
      | audio_ (?: tower | encoder ) | sound_encoder | whisper_encoder
      | multi_modal_projector | mm_projector | mlp1 | mlp_AR | connector
      | embed_ (?: vision | audio ) | embed_tokens_extend
      | vision_ (?: adapter | projection | proj | language_adapter | resampler )
      | audio_ (?: language_adapter | projector | adapter | projection_layer )
      | patch_merger | pre_mm_projector_norm | resampler | abstractor
      | qformer | query_tokens | language_projection | image_newline
      | talker | token2wav | code2wav
    )
    (?: \. | \Z )
    """,
    re.VERBOSE,
)


def has_towers(config: Mapping[str, Any]) -> bool:
    """Whether a model of this config, the whole of it, reads images or sound beside texts, in a way
    that engines load without.
    """
    thinker = config.get("thinker_config")
    whole = {**config, **thinker} if isinstance(thinker, Mapping) else config
    is_divided = any(isinstance(whole.get(name), Mapping) for name in TEXTS)
    if not is_divided and whole.get("model_type") not in FLAT:
        return False
    return any(isinstance(whole.get(name), Mapping) for name in PARTS)


def is_of_tower(name: str) -> bool:
    """Whether the tensor of this name, as it stands in a file, is not of the language model."""
    return TOWER.match(name) is not None
