"""`python -m smolrgpt_core.cli`, for launchers that want a module, such as `torchrun -m`."""

from smolrgpt_core.cli import main

if __name__ == "__main__":
    main()
