"""Vision-language models with a metric point map, after HiSpatial (arXiv 2603.25411)."""

from transformers import AutoConfig, AutoModelForImageTextToText

from smolrgpt_core.model.point_map.configuration import PointMapConfig
from smolrgpt_core.model.point_map.families import FAMILIES, VlmFamily
from smolrgpt_core.model.point_map.modeling import PointMapForConditionalGeneration

__all__ = ["FAMILIES", "PointMapConfig", "PointMapForConditionalGeneration", "VlmFamily"]

AutoConfig.register(PointMapConfig.model_type, PointMapConfig)
AutoModelForImageTextToText.register(PointMapConfig, PointMapForConditionalGeneration)
