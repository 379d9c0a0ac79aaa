"""Region files in common formats; see `reading`."""

from smolrgpt_core.region_files.own_form import write_regions
from smolrgpt_core.region_files.reading import read_regions

__all__ = ["read_regions", "write_regions"]
