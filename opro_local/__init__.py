"""OPRO on your own hardware."""
