"""What is known of a model on disk: where it is, its card, its size, and GGUF conversion.

Nothing is loaded into memory here; engines do that. May import: programs, types, files, errors.
"""
