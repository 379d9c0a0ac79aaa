"""Readers of data sets: one configuration opens any of them, and all give the same samples.

dataset = open_dataset(DatasetConfig("warehouse", Path("warehouse"), split="train"))
for sample in SampleIterator(dataset, Order(seed=1), Part(rank=0, world_size=2)):
    ...
"""

from smolrgpt_core.data.readers.config import READERS, DatasetConfig, open_dataset
from smolrgpt_core.data.readers.iteration import (
    Order,
    Position,
    ReaderPart,
    SampleBlock,
    SampleDataset,
    SampleIterator,
)

__all__ = [
    "READERS",
    "DatasetConfig",
    "Order",
    "Position",
    "ReaderPart",
    "SampleBlock",
    "SampleDataset",
    "SampleIterator",
    "open_dataset",
]
