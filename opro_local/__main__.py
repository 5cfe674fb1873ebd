"""`python -m opro_local`: the program, where its script is not on PATH. Not for: anything else."""

from opro_local.cli.main import main

if __name__ == "__main__":
    main()
