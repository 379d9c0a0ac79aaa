"""Several conversations about one image in one row: each sees the image and itself, no other."""

from __future__ import annotations

import torch


def packed_attention_mask(segment_ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What each token of packed rows may read.

    Args:
        segment_ids: (B, T), 0 for the common head, above 0 for each conversation, -1 for padding.
        dtype: of the computation.

    Returns:
        (B, 1, T, T) to be added to the attention scores: 0, or the lowest number of `dtype`.
    """
    length = segment_ids.shape[1]
    order = torch.arange(length, device=segment_ids.device)
    reader, read = segment_ids[:, :, None], segment_ids[:, None, :]
    is_seen = ((read == reader) | (read == 0)) & (order[:, None] >= order)
    mask = torch.zeros(is_seen.shape, dtype=dtype, device=segment_ids.device)
    return mask.masked_fill_(~is_seen, torch.finfo(dtype).min)[:, None]
