"""Data sets of the simulated warehouse: what varies, one scene, and a whole run."""
