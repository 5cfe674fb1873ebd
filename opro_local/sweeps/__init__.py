"""A grid of runs: which cells there are, running what is missing of them, and what they came to.

The rooms: file.py (SWEEP.toml as it is written), cells.py (the cells it comes to), plan.py (cells
and the groups that share engines), forecast.py and calibration.py (what it will cost), journal.py
and group.py (one group in a process of its own), local.py (groups on this machine), slurm.py and
slurm_options.py (as jobs of a cluster), ray.py (on the nodes of one; another way to execute a sweep
is another such object), progress.py (how far cells are), records.py (sweep.json), table.py
(sweep.csv), sweep.py (a sweep from its plan to its last cell), outcomes.py, factors.py, seeds.py
and summary.py (statistics over its cells). Nothing here prints, and what a cell came to
is read from its store. May import: runs, problems, search, engines, programs, recipes, config,
stats, protocols, types, files, network, errors.
"""
