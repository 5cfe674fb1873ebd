"""What transformers raises over a config's numbers ends in one line that names the model."""

from __future__ import annotations

import pytest

from opro_local.engines import loading
from opro_local.engines.settings import EngineSettings
from opro_local.errors import ModelError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("integer modulo by zero"), "does not load: integer modulo by zero"),
        (OverflowError("too large"), "does not load: too large"),
        (TypeError("can't multiply"), "does not load: can't multiply"),
    ],
)
def test_a_config_whose_numbers_do_not_add_up_is_named(tmp_path, monkeypatch, error, said):
    transformers = pytest.importorskip("transformers")

    def fail(*given, **more):
        raise error

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(ModelError, match=said) as refused:
        loading.load(EngineSettings(str(tmp_path), "transformers"))
    assert refused.value.message.startswith(str(tmp_path))
