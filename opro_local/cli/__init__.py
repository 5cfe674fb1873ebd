"""The program `opro-local`: one file per group of verbs, each body one library call.

No verb does work of its own; what a result is and how a run goes lives in runs/. May import: api,
sweeps, tracking, doctor, bundle, report, feedback, runs, problems, placement, exports, engines,
scoring, models, recipes, config, files, network, errors.
"""
