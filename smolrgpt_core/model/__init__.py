"""SmolRGPT as a transformers model: configuration, processor, model, import of checkpoints."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from smolrgpt_core.model.configuration_smolrgpt import DEPTH, MODALITIES, RGB, SmolRGPTConfig
from smolrgpt_core.model.modeling_smolrgpt import SmolRGPTForConditionalGeneration, SmolRGPTModel
from smolrgpt_core.model.processing_smolrgpt import SmolRGPTProcessor

__all__ = [
    "DEPTH",
    "MODALITIES",
    "RGB",
    "SmolRGPTConfig",
    "SmolRGPTForConditionalGeneration",
    "SmolRGPTModel",
    "SmolRGPTProcessor",
]

AutoConfig.register(SmolRGPTConfig.model_type, SmolRGPTConfig)
AutoModel.register(SmolRGPTConfig, SmolRGPTModel)
AutoModelForImageTextToText.register(SmolRGPTConfig, SmolRGPTForConditionalGeneration)
AutoProcessor.register(SmolRGPTConfig, SmolRGPTProcessor)
