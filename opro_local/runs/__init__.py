"""A run: plan, engines, driver, store and cache, from the check of everything it needs to its
result.

What is asked next is decided in search/; nothing here prints. May import: problems, placement,
exports, search, engines, scoring, tasks, programs, models, config, stats, protocols, types, files,
network, records, errors.
"""
