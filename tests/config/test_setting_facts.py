"""What each setting says of itself, against the lists that were kept by hand before."""

from opro_local.config import reading
from opro_local.config.facts import settings_with_facts
from opro_local.config.settings import ModelSettings
from opro_local.runs.run_engines import cache_key_settings

ROLES = ("optimizer", "scorer", "judge")
MODEL_FREE = [
    "model",
    "adapter",
    "chat_template",
    "script",
    "max_num_seqs",
    "kv_cache_bytes",
    "gpu_memory",
    "batch_tokens",
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "gpu_workers",
    "stall_seconds",
    "load_seconds",
    "trusted_code",
    "allow_pickle",
    "base_url",
    "api_key_variable",
]
FREE = {
    *("run.name", "run.cache", "run.cache_bytes", "run.placement"),
    *("run.guard", "run.allowed_hosts", "run.track"),
    *("search.steps", "search.patience", "search.min_gain", "search.target_score"),
    *("search.max_tokens", "search.max_seconds", "search.early_stop"),
    *("problem.file", "problem.suite", "problem.data_file", "problem.folder", "problem.parallel"),
    "problem.pass_environment",
    *("task.data", "task.train", "task.validation", "task.test", "task.data_dir"),
    *("task.delimiter", "task.encoding"),
    *(f"{role}.{key}" for role in ROLES for key in MODEL_FREE),
}
PATHS = {
    "task": {"data", "train", "validation", "test", "data_dir", "rule", "pattern"},
    "search": {"metaprompt", "operators", "similarity"},
    **{role: {"model", "adapter", "chat_template", "script"} for role in ROLES},
    "problem": {"file", "suite", "data_file", "folder", "function"},
    "evaluation": set(),
    "run": set(),
}
TO_ENGINE = [
    "dtype",
    "max_model_len",
    "max_num_seqs",
    "kv_cache_bytes",
    "gpu_memory",
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "gpu_workers",
    "batch_tokens",
    "engine_args",
    "script",
    "stall_seconds",
    "load_seconds",
    "trusted_code",
    "allow_pickle",
    "base_url",
    "api_key_variable",
]


def test_the_free_settings_are_those_that_may_change_in_a_stored_run():
    assert reading.FREE == FREE


def test_the_settings_that_are_paths_start_from_the_config_files_folder():
    paths = {
        section: {name for kind in kinds for name, facts in settings_with_facts(kind) if facts.path}
        for section, kinds in reading.SECTIONS.items()
    }
    assert paths == PATHS


def test_every_section_of_the_config_has_its_classes():
    assert set(reading.SECTIONS) == set(reading.Config.model_fields)


def test_what_reaches_the_engine_and_what_decides_an_answer():
    known = settings_with_facts(ModelSettings)
    assert sorted(name for name, facts in known if facts.to_engine) == sorted(TO_ENGINE)
    assert cache_key_settings() == [
        "tensor_parallel",
        "pipeline_parallel",
        "template_args",
        "chat_template",
        "date",
        "engine_args",
    ]
