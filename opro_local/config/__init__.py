"""The settings of a run: what they are called, what they may be, and how they are read.

What needs data, a model or a disk to be checked lives where it is used. May import: stats, types,
errors.
"""
