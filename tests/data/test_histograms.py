"""The colour histogram against counting by hand."""

import itertools

import pytest
import torch

from dml_teach.data.histograms import BINS, STRIPES, colour_histogram
from dml_teach.errors import DataError


def by_hand(image: torch.Tensor) -> list[float]:
    """The features of one image (3, H, W), pixel by pixel."""
    _, height, width = image.shape
    rows = range(height // 16, height - height // 16)
    columns = range(3 * width // 8, 5 * width // 8)
    values = image.double().tolist()
    means = [sum(values[c][y][x] for y in rows for x in columns) / len(rows) / len(columns) for c in range(3)]
    sizes = [len(rows) // STRIPES + (k < len(rows) % STRIPES) for k in range(STRIPES)]
    found, start = [], rows[0]
    for size in sizes:
        counts = [0.0] * BINS**3
        for y, x in itertools.product(range(start, start + size), columns):
            places = [min(255, values[c][y][x] * 128 / max(1, means[c])) / 255 * (BINS - 1) for c in range(3)]
            for bins in itertools.product(range(BINS), repeat=3):
                near = [max(0.0, 1 - abs(place - number)) for place, number in zip(places, bins, strict=True)]
                counts[(bins[0] * BINS + bins[1]) * BINS + bins[2]] += near[0] * near[1] * near[2]
        found += [(count / sum(counts)) ** 0.5 for count in counts]
        start += size
    return found


def images(count=3, size=(34, 16)):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, *size), generator=generator).to(torch.uint8)


def test_the_histogram_is_that_counted_pixel_by_pixel():
    pixels = images()
    assert colour_histogram(pixels).tolist() == [pytest.approx(by_hand(image), abs=1e-7) for image in pixels]


def test_black_and_white_are_counted_too():
    pixels = torch.stack([torch.zeros(3, 16, 8), torch.full((3, 16, 8), 255)]).to(torch.uint8)
    assert colour_histogram(pixels).tolist() == [pytest.approx(by_hand(image), abs=1e-7) for image in pixels]


def test_a_tint_of_the_light_makes_no_difference():
    pixels = images() // 2
    tinted = pixels * torch.tensor([2, 1, 1], dtype=torch.uint8)[:, None, None]
    torch.testing.assert_close(colour_histogram(tinted), colour_histogram(pixels))


def test_the_background_at_both_sides_makes_no_difference():
    pixels = images()
    other = pixels.clone()
    other[:, :, :, :6] = 7
    other[:, :, :, 10:] = 200
    assert colour_histogram(other).equal(colour_histogram(pixels))


def test_each_stripe_has_length_one():
    lengths = colour_histogram(images()).view(3, STRIPES, -1).norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize(
    "wrong", [images().float(), images()[:, :1], images()[0], images(size=(15, 8)), images(size=(16, 7))]
)
def test_other_images_are_refused(wrong):
    with pytest.raises(DataError, match="images: "):
        colour_histogram(wrong)
