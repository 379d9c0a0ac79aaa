"""Processes, threads, signals and memory: nothing here knows about questions."""
