"""Which model gets which memory and which GPU: demand, choice and plan.

The engines that follow the plan live in engines/. May import: engines, models, types, errors.
"""
