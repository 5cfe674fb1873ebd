"""The KV cache that vLLM is given on a CPU: enough to start with any model, where nothing is set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from test_placement import LLAMA, SMOLLM, write_model

from opro_local.engines.settings import EngineSettings
from opro_local.engines.vllm_start import arguments

MIB = 1 << 20
QWEN3_SMALL = {
    **{
        "model_type": "qwen3",
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
    },
    **{"hidden_size": 1024, "head_dim": 128, "vocab_size": 151936},
}
SMOLLM_LARGE = {
    **{
        "model_type": "llama",
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
    },
    **{"hidden_size": 2048, "vocab_size": 49152},
}


def cache(folder: Path, cuda: bool = False, **more) -> int | None:
    longest = SimpleNamespace(
        get_text_config=lambda: SimpleNamespace(max_position_embeddings=40960)
    )
    found = arguments(EngineSettings(str(folder), "vllm", **more), longest, cuda)
    return found.get("kv_cache_memory_bytes")


@pytest.mark.parametrize(
    ("config", "sequence"),
    [(QWEN3_SMALL, 448 * MIB), (LLAMA, 512 * MIB), (SMOLLM_LARGE, 768 * MIB)],
)
def test_a_cpu_holds_four_full_sequences_of_any_model(config, sequence, tmp_path):
    folder = write_model(tmp_path / "m", config)
    # 2048 tokens each in float32, and the block of 32 that vLLM keeps for itself.
    assert cache(folder) == 4 * sequence + sequence // 64
    assert cache(folder, dtype="bfloat16") == cache(folder) // 2
    assert cache(folder, cuda=True) is None


def test_a_long_context_holds_one_full_sequence_in_whole_blocks(tmp_path):
    folder = write_model(tmp_path / "m", QWEN3_SMALL)
    token = 448 * MIB // 2048
    assert cache(folder, max_model_len=20_000) == token * (20_000 + 32)
    assert cache(folder, max_model_len=20_001) == token * (20_032 + 32)


def test_a_small_model_and_one_that_does_not_tell_get_384_mib(tmp_path):
    assert cache(write_model(tmp_path / "m", SMOLLM)) == cache(tmp_path / "nothing") == 384 * MIB


def test_what_the_user_set_stays(tmp_path):
    assert cache(write_model(tmp_path / "m", LLAMA), kv_cache_bytes=MIB) == MIB
