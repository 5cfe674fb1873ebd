"""Rows with an input and a target, and where they come from: tables, the paper's benchmarks,
harness YAML, SQL.

Scoring an answer lives in scoring/. May import: programs, models, config, files,
network, types, errors.
"""
