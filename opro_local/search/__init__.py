"""OPRO's loop and what is pure in it: trajectory, meta-prompts, racing, similarity, and derived
randomness.

Nothing here asks a model, reads a file or knows a clock; batches are yielded to runs/driver.py. May
import: config, programs, scoring, stats, tasks, protocols, types, files, errors.
"""
