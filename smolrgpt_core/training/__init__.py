"""Training: stages as YAML files, rows of packed questions, runs that can be stopped at any time."""
