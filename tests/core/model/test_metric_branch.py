"""The metric depth branch: what it reads under masks, and what it makes of questions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage
from smolrgpt_core.language import Category
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.connector import pixel_shuffle
from smolrgpt_core.model.packing import PackedImage, TypedAnswer, pack_batch
from smolrgpt_core.model.region_geometry import RegionGeometry
from smolrgpt_core.model.region_inputs import RegionInputs
from smolrgpt_core.model_inputs.region_samples import AROUND, AROUND_SIDE, region_samples

HEIGHT, WIDTH = 60, 80
CAMERA = CameraIntrinsics(WIDTH, HEIGHT, 70.0, 70.0, 39.5, 29.5)
SIZES = {
    "vision_config": {"image_size": 32, "patch_size": 8, "hidden_size": 16, "intermediate_size": 32,
                      "num_hidden_layers": 1, "num_attention_heads": 2},
    "text_config": {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48,
                    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2},
    "metric_width": 32,
    "metric_heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *special]
    words += [f"never {number}" for number in range(297 - len(words))]
    made = Tokenizer(models.BPE(vocab={word: id for id, word in enumerate(words)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return lambda: PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>")


@pytest.fixture
def make(tokenizer):
    def build(**changes):
        config = SmolRGPTConfig.preset("smolrgpt-nano", **{**SIZES, **changes})
        torch.manual_seed(3)
        model = SmolRGPTForConditionalGeneration(config).eval()
        return model, SmolRGPTProcessor(tokenizer(), config)

    return build


@pytest.fixture
def masks():
    found = np.zeros((4, HEIGHT, WIDTH), dtype=bool)
    found[0, 5:20, 10:30] = True
    found[1, 25:40, 40:70] = True
    found[2, 41:59, 3:9] = True
    found[3, 5:8, 60:79] = True
    return list(found)


@pytest.fixture
def depth(masks):
    meters = np.full((HEIGHT, WIDTH), 9.0, dtype=np.float32)
    for number, mask in enumerate(masks):
        meters[mask] = 2.0 + number
    meters[30, 40:70] = np.nan
    return meters


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def talk(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def rows(image, depth, masks):
    """Two images with several questions each."""
    first = PackedImage(
        [talk("How far is <mask> from <mask>?", "3.42"), talk("What is this?", "a hall"),
         talk("Is <mask> on the left?", "left"), talk("Which of <mask> <mask> <mask>?", "2")],
        [[0, 3], [], [1], [2, 1, 0]], image, depth, masks, CAMERA,
    )  # fmt: skip
    second = PackedImage([talk("Who is <mask>?", "7")], [[0]], image, depth, masks[2:], CAMERA)
    return [first, second]


# Samples


def test_samples_are_rays_and_depths_under_the_mask(masks, depth):
    samples = region_samples(masks, depth, CAMERA, 100)
    assert samples.shape == (4, 100 + AROUND, 3)
    samples = samples[:, :100]
    for mask, (x, y, z) in zip(masks, samples.transpose(0, 2, 1), strict=True):
        columns, lines = np.rint(x * 70 + 39.5).astype(int), np.rint(y * 70 + 29.5).astype(int)
        assert mask[lines, columns].all()
        np.testing.assert_array_equal(depth[lines, columns], z)
        # Spread over the whole mask: no row and no column is preferred.
        where = np.argwhere(mask)
        assert abs(lines.mean() - where[:, 0].mean()) < 0.1 * np.ptp(where[:, 0])
        assert abs(columns.mean() - where[:, 1].mean()) < 0.1 * np.ptp(where[:, 1])
    assert 0 < np.isnan(samples[1, :, 2]).mean() < 0.2


def surroundings(mask, depth):
    """(side, side, 3)."""
    samples = region_samples([mask], depth, CAMERA, 400)
    return samples[0, 400:].reshape(AROUND_SIDE, AROUND_SIDE, 3)


def test_the_last_samples_are_a_grid_over_the_surroundings():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[20:40, 30:50] = True
    depth = np.full((HEIGHT, WIDTH), 9.0, dtype=np.float32)
    depth[mask] = 4.0
    depth[:20] = 7.0
    around = surroundings(mask, depth)
    # 30 pixels for 20 of the mask: a sixth of the grid on each side is outside of it.
    expected = np.full((AROUND_SIDE, AROUND_SIDE), 9.0)
    expected[1:-1, 1:-1] = 4.0
    expected[0] = 7.0
    np.testing.assert_array_equal(around[..., 2], expected)
    columns = around[0, :, 0] * 70 + 39.5
    np.testing.assert_allclose(columns, 39.5 + 30 * (np.arange(8) - 3.5) / 8, atol=0.51)


def test_what_is_outside_of_the_image_has_no_reading():
    corner = np.zeros((HEIGHT, WIDTH), dtype=bool)
    corner[:8, :8] = True
    depth = np.full((HEIGHT, WIDTH), 5.0, dtype=np.float32)
    around = region_samples([corner], depth, CAMERA, 10)[0, 10:].reshape(
        AROUND_SIDE, AROUND_SIDE, 3
    )
    assert np.isnan(around[0, :, 2]).all()
    assert np.isnan(around[:, 0, 2]).all()
    assert (around[2:, 2:, 2] == 5).all()


def test_every_form_of_a_mask_gives_the_same_samples(masks, depth):
    labels = sum(mask.astype(np.int32) * id for id, mask in enumerate(masks, start=1))
    forms: list[MasksOfImage] = [
        np.stack(masks),
        torch.from_numpy(np.stack(masks)),
        LabelImage(labels, [1, 2, 3, 4]),
        [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks],
    ]
    first, *others = [region_samples(form, depth, CAMERA, 64) for form in forms]
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": np.ones((8, 8), np.float32)}, "calibration is for an image of"),
        ({"masks": [np.zeros((HEIGHT, WIDTH), bool)]}, "mask 0 of image 0 has no pixel"),
        ({"masks": [np.ones((9, 9), bool)]}, "same resolution"),
    ],
)
def test_samples_that_cannot_be_taken_are_refused(masks, depth, change, words):
    given = {"masks": masks, "depth": depth, **change}
    with pytest.raises(SpatialError, match=words):
        region_samples(given["masks"], given["depth"], CAMERA, 16)


# Geometry


def measure(under_mask):
    """Of samples (R, K, 3) of regions of whose surroundings nothing is known."""
    around = torch.full((len(under_mask), AROUND, 3), torch.nan)
    return RegionGeometry.measure(torch.cat([under_mask, around], dim=1))


def test_depths_of_the_surroundings_are_distinguished_from_the_region():
    samples = torch.full((2, 64 + AROUND, 3), 4.0)
    samples[1, 64:, 2] = 3.8
    codes = RegionGeometry.measure(samples).region_codes()
    near, far, has_reading = codes[:, -3 * AROUND :].split(AROUND, dim=1)
    assert near[0].abs().max() < 1e-5
    assert far[0].abs().max() < 1e-5
    torch.testing.assert_close(near[1], torch.full((AROUND,), -0.2 / 0.3).tanh())
    assert -0.2 < far[1].mean() < 0
    assert (has_reading == 1).all()
    assert (measure(samples[:, :64]).region_codes()[:, -3 * AROUND :] == 0).all()


def test_outliers_and_missing_readings_do_not_move_a_region():
    generator = torch.Generator().manual_seed(0)
    rays = torch.rand(1, 64, 2, generator=generator) * 0.2
    clean = torch.cat([rays, torch.full((1, 64, 1), 4.0)], dim=-1)
    dirty = clean.clone()
    dirty[0, :6, 2] = 11.0
    dirty[0, 6:12, 2] = torch.nan
    here, there = measure(clean), measure(dirty)
    assert there.counts.sum() == 52
    assert torch.linalg.norm(here.centers - there.centers) < 0.05
    assert there.valid.item() == pytest.approx(58 / 64)


def test_a_region_without_a_reading_has_numbers_all_the_same():
    samples = torch.rand(2, 64, 3) + 1
    samples[0, :, 2] = torch.nan
    measured = measure(samples)
    assert measured.valid.tolist() == [0, 1]
    pair = torch.arange(2)
    assert measured.region_codes().isfinite().all()
    assert measured.pair_codes(pair[:, None], pair).isfinite().all()


def test_pairs_do_not_depend_on_where_in_the_hall_they_stand():
    """Offsets and containment are about two regions, whatever lies between them and the camera."""
    points = torch.rand(2, 64, 3, generator=torch.Generator().manual_seed(1)) + torch.tensor(
        [0, 0, 3]
    )
    far = points + torch.tensor([0.0, 0.0, 5.0])

    def measured(at):
        return measure(torch.cat([at[..., :2] / at[..., 2:], at[..., 2:]], dim=-1))

    first, second = torch.tensor([0, 1]), torch.tensor([1, 0])
    near_codes, far_codes = (measured(at).pair_codes(first, second) for at in (points, far))
    # The last two numbers are columns of the image.
    torch.testing.assert_close(near_codes[:, :-2], far_codes[:, :-2], atol=2e-3, rtol=1e-3)


# Branch


@pytest.mark.parametrize(
    ("branch", "pictures"), [("metric", True), ("metric", False), ("image", True)]
)
def test_a_packed_row_gives_the_losses_of_its_conversations(
    make, image, depth, masks, branch, pictures
):
    model, processor = make(depth_branch=branch)
    packed = rows(image if pictures else None, depth, masks)
    batch = pack_batch(processor, packed)
    total, number = 0.0, 0
    with torch.no_grad():
        losses = {model(**batch, only_answers=only).loss.item() for only in (True, False)}
        for row in packed:
            for conversation, named in zip(row.conversations, row.mask_indices, strict=True):
                alone = PackedImage([conversation], [named], row.image, depth, row.masks, CAMERA)
                single = pack_batch(processor, [alone])
                count = int((single["labels"] != -100).sum())
                total, number = total + model(**single).loss.item() * count, number + count
    for loss in losses:
        assert loss == pytest.approx(total / number, abs=1e-5)


def test_a_packed_row_gives_the_region_losses_of_its_conversations(make, image, depth, masks):
    model, processor = make()
    first, second = rows(image, depth, masks)
    answers = [TypedAnswer(Category.DISTANCE, 3.42), TypedAnswer(),
               TypedAnswer(Category.LEFT_RIGHT, 0), TypedAnswer(Category.MCQ, 2)]  # fmt: skip
    packed = [
        replace(first, answers=answers),
        replace(second, answers=[TypedAnswer(Category.COUNT, 7)]),
    ]
    with torch.no_grad():
        together = model(**pack_batch(processor, packed)).region_losses
        alone = [
            model(**pack_batch(processor, [replace(
                row, conversations=[talk], mask_indices=[named], answers=[answer]
            )])).region_losses
            for row in packed
            for talk, named, answer in zip(
                row.conversations, row.mask_indices, row.answers, strict=True
            )
            if named
        ]  # fmt: skip
        assert model(**pack_batch(processor, rows(image, depth, masks))).region_losses is None
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
    assert (together > 0).all()


def test_measures_and_numbers_have_losses_in_packed_rows(make, image, depth, masks):
    """Of every row, in the order of its placeholders, whatever it asks."""
    model, processor = make(region_measures=True)
    first, second = rows(image, depth, masks)
    box = (0.5, 0.2, 4.0, 1.2, 0.8, 0.6, 0.3, math.nan, math.nan)
    unknown = (math.nan,) * 9
    answers = [
        TypedAnswer(Category.DISTANCE, 3.42, (3.42,), (unknown, unknown)),
        TypedAnswer(),
        TypedAnswer(Category.TRUTH, 1, (), (unknown,)),
        TypedAnswer(Category.MCQ, 2, (), (unknown, unknown, box)),
    ]
    known = [
        replace(first, answers=answers),
        replace(second, answers=[TypedAnswer(Category.COUNT, 7)]),
    ]
    batch = pack_batch(processor, known)
    assert [len(item) for item in batch["region_truths"]] == [6, 1]
    assert batch["region_truths"][0][5].tolist()[:7] == pytest.approx(box[:7])
    without = {**batch, "region_truths": [item * math.nan for item in batch["region_truths"]]}
    silent = {**without, "answer_numbers": batch["answer_numbers"] * math.nan}
    with torch.no_grad():
        losses, fewer, least = (model(**item).region_losses for item in (batch, without, silent))
    # Of four questions with regions, one has a box and one a number.
    assert ((losses - fewer).abs() > 1e-3).tolist() == [False, False, True, False]
    assert ((fewer - least).abs() > 1e-3).tolist() == [True, False, False, False]


def test_the_floor_is_the_last_sample(make, image, masks):
    """A camera 1.5 m above a floor that it sees: heights, and so answers, depend on it."""
    row_rays = (np.arange(HEIGHT) - CAMERA.cy) / CAMERA.fy
    with np.errstate(divide="ignore"):
        floor = np.where(row_rays > 0.02, 1.5 / row_rays, np.nan)[:, None]
    depth = np.broadcast_to(floor, (HEIGHT, WIDTH)).astype(np.float32).copy()
    depth[depth > 30] = np.nan
    model, processor = make(region_measures=True)
    (samples,) = processor(image, "<mask>?", depth, masks[1:2], CAMERA)["region_samples"]
    assert samples.shape == (1, model.config.samples_per_region + AROUND + 1, 3)
    assert samples[0, -1].tolist() == pytest.approx([0, 1.5, 0], abs=0.05)
    nowhere = processor(image, "<mask>?", np.full_like(depth, np.nan), masks[1:2], CAMERA)
    assert nowhere["region_samples"][0][0, -1].isnan().all()
    with torch.no_grad():
        assert model(**nowhere).logits.isfinite().all()


def test_packing_is_what_the_processor_makes_of_one_conversation(make, image, depth, masks):
    model, processor = make()
    named = [masks[2], masks[1], masks[0]]
    conversation = talk("Which of <mask> <mask> <mask>?", "2")
    plain = processor(image, conversation, depth, named, CAMERA, return_labels=True)
    row = PackedImage([conversation], [[2, 1, 0]], image, depth, masks, CAMERA)
    with torch.no_grad():
        torch.testing.assert_close(
            model(**plain).logits, model(**pack_batch(processor, [row])).logits
        )


def test_the_token_of_a_region_depends_on_question_depth_and_other_regions(
    make, image, depth, masks
):
    model, processor = make()

    def first_region(question="near <mask>, far <mask>", change=lambda depth: None, named=(0, 1)):
        meters = depth.copy()
        change(meters)
        batch = processor(image, question, meters, [masks[i] for i in named], CAMERA)
        with torch.no_grad():
            inputs = RegionInputs.taken_from(dict(batch))
            embeds, _ = model.model.embed_inputs(batch["input_ids"], inputs)
        place = (batch["input_ids"] == model.config.mask_depth_token_id).nonzero()[0, 1]
        return embeds[0, place]

    def move(region, meters):
        def change(depth):
            depth[masks[region]] += meters

        return change

    plain = first_region()
    assert torch.equal(plain, first_region())
    assert not torch.allclose(plain, first_region("<mask> is far, near <mask>"), atol=1e-4)
    assert not torch.allclose(plain, first_region(change=move(0, 1.0)), atol=1e-4)
    assert not torch.allclose(plain, first_region(change=move(1, 1.0)), atol=1e-4)
    assert torch.allclose(plain, first_region(change=move(2, 1.0)), atol=1e-6)


def test_what_the_branch_does_not_get_is_named(make, image, depth, masks):
    model, processor = make()
    batch = dict(processor(image, "<mask>?", depth, masks[:1], CAMERA))
    for left_out, words in (
        ("region_samples", "need region_samples"),
        ("question_ids", "needs question_ids"),
    ):
        with pytest.raises(ValueError, match=words):
            model(**{name: value for name, value in batch.items() if name != left_out})
    with pytest.raises(ValueError, match="every region must belong to a question"):
        model(**{**batch, "question_ids": torch.zeros_like(batch["question_ids"])})
    with pytest.raises(ValueError, match=r"give \[2\] features"):
        model(**batch, region_indices=[torch.tensor([0, 0])])
    with pytest.raises(ValueError, match="names region 1"):
        model(**batch, region_indices=[torch.tensor([1])])
    for arguments, status, words in (
        ((depth, masks[:1]), Status.BAD_INPUT, "give intrinsics"),
        ((None, masks[:1], CAMERA), Status.NO_DEPTH, "depth"),
        (
            (np.nan_to_num(depth * 10).astype(np.uint8), masks[:1], CAMERA),
            Status.BAD_INPUT,
            "8 bit visualization",
        ),
    ):
        with pytest.raises(SpatialError, match=words) as refused:
            processor(image, "<mask>?", *arguments)
        assert refused.value.status is status
    with pytest.raises(SpatialError, match=r"\[Region k\]"):
        processor(image, talk("Which?", "It is <mask>"), depth, masks[:1], CAMERA)


def test_a_checkpoint_comes_back_as_it_was(make, image, depth, masks, tmp_path):
    model, processor = make(point_fusion=True)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = SmolRGPTForConditionalGeneration.from_pretrained(tmp_path)
    batch = SmolRGPTProcessor.from_pretrained(tmp_path)(image, "<mask>?", depth, masks[:1], CAMERA)
    with torch.no_grad():
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits)


# Point fusion


def test_new_point_fusion_changes_nothing(make, image, depth):
    model, processor = make(point_fusion=True)
    batch = processor(image, "What is this?", depth, None, CAMERA)
    steps = model.model
    layer = steps.connectors["rgb"].projection

    def tokens(points):
        with torch.no_grad():
            return steps.connect(steps.encode_images(batch["pixel_values"], "rgb", points), "rgb")

    with torch.no_grad():
        plain = steps.vision_model(pixel_values=batch["pixel_values"]).last_hidden_state
        blocks = pixel_shuffle(plain, model.config.pixel_shuffle_factor)
        assert torch.equal(tokens(batch["point_values"]), layer(blocks))
    layer.weight.data[:, layer.image_features :] += 0.1
    here = tokens(batch["point_values"])
    there = tokens(batch["point_values"] + torch.tensor([0.5, 0.5, 0.5, 0])[:, None, None])
    assert here.isfinite().all()
    assert not torch.allclose(here, there)
    with pytest.raises(ValueError, match="point_values are missing"):
        steps.encode_images(batch["pixel_values"], "rgb")


def test_points_are_those_of_one_pixel(make, depth):
    _, processor = make(point_fusion=True)
    points = processor.prepare_points(depth, CAMERA).numpy()
    assert points.shape == (4, 32, 32)
    z, valid = points[2], points[3] > 0
    assert set(np.unique(z[valid])) <= set(np.unique(depth[np.isfinite(depth)]))
    assert (z[~valid] == 0).all()
    row, column = 16, 8
    pixel = row * HEIGHT // 32, column * WIDTH // 32
    np.testing.assert_allclose(
        points[0, row, column], (pixel[1] - 39.5) / 70 * z[row, column], rtol=1e-5
    )
    assert valid[row, column] == np.isfinite(depth[pixel])
