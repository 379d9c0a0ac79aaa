"""What transformers calls the keys and values of earlier tokens, in arguments and in outputs.

`past_key_values` up to 5.23, `cache` from 5.24 on; the old name gives a warning until 5.40.
This package uses `cache` everywhere, and translates where it calls transformers or is called by it.
"""

from __future__ import annotations

from dataclasses import fields

from transformers.modeling_outputs import BaseModelOutputWithPast

OLD_NAME = "past_key_values"
CACHE = OLD_NAME if any(f.name == OLD_NAME for f in fields(BaseModelOutputWithPast)) else "cache"
"""The name in the transformers that is installed."""
