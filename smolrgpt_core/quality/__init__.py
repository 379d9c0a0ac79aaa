"""Quality of a data set: broken files, statistics, text-only baselines, and a contact sheet."""
