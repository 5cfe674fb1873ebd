"""How a step's solutions are scored on train: which rows each of them sees, and in what order.

One file a schedule. A new one is a file with a class like `schedule.Schedule` and a line in
table.py, the only place that lists them. What comes of the scores is decided in ../loop.py.
"""
