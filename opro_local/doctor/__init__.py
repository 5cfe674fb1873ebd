"""Whether it will run here: a line for each thing that a run needs, with its state and what to do.

For: `opro-local check`. The rooms: machine.py (what is looked at, gathered once as values),
graphics.py (GPUs and driver), surroundings.py (memory, disks, clock, packages, models), checks.py
(the table of checks), trial.py (a short answer of a model), prepared.py (a config's data, rule and
models). A check is a function of a Machine, so that tests hand it any machine. Not for: runs.
May import: runs, engines, models, config, network, types, errors.
"""
