"""Runs and sweeps shown in the tracker that people already look at: MLflow, trackio; both local and
offline.

The rooms: record.py (a run as trackers take it), parameters.py (its settings, without secrets),
tracker.py (what a tracker must do, and the table of them), mlflow.py and trackio.py (one each),
writing.py (a run, or a sweep with its cells, brought up to date), child.py (the process that does
it), process.py (who starts that), following.py (while a run goes on). A tracker's package is
imported in the child alone, so that whatever it does ends there and not in a run. Nothing here
changes a run. May import: sweeps, runs, exports, config, network, errors.
"""
