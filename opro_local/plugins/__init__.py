"""OPRO as the optimizer of other libraries: MLflow's prompts, DSPy's programs, gepa's adapters.

For: one thin file a library (mlflow.py, dspy.py, gepa.py), and what they share: the caller's
program as an engine (scoring.py) and the search of its texts (searching.py). Not for: a run's
prompt in the form that they read (exports/), or writing runs to a tracker. A file imports its
library; none of the three is a dependency. May import: runs, problems, engines, search, scoring,
tasks, programs, config, protocols, types, errors.
"""
