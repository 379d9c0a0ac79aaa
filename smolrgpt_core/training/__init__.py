"""Training: stages as YAML files, packed questions, runs that can be stopped at any time."""
