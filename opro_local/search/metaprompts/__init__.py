"""Meta-prompt forms: what the optimizer is shown and how its reply is read, one TOML file a form
beside the code.
"""
