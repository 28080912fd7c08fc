"""Images and what goes in for each: patches of full-size pictures, sources that stay aligned, two kinds of pictures."""

from itertools import islice

import numpy as np
import pytest
from data_cases import picture, write

from limner.data import DataConfig, open_data
from limner.data.fill import pieces_of
from limner.data.loader import Loader, to_batch
from limner.errors import ConfigError, DataError
from limner.images.bicubic import resize


def folder(tmp_path, sizes, name="images"):
    files = {f"{place:02d}.png": picture(place, *size) for place, size in enumerate(sizes)}
    path = tmp_path / name
    path.mkdir()
    return write(path, files)


def batches(dataset, steps, **options):
    return list(islice(Loader(dataset, **{"batch_size": 6, "seed": 3, **options}), steps))


@pytest.mark.parametrize(("size", "side", "count"), [((20, 31), 12, 6), ((12, 12), 12, 1), ((5, 30), 12, 3)])
def test_pieces_cover_a_picture(size, side, count):
    image = np.arange(size[0] * size[1], dtype=np.int64).reshape(*size, 1)
    pieces = pieces_of(image, side)
    assert pieces.shape == (count, side, side, 1)
    assert set(pieces.ravel()) == set(image.ravel())


def test_patches_come_from_pictures_of_many_sizes_at_their_own_scale(tmp_path):
    path = folder(tmp_path, [(20, 31), (40, 24), (16, 16)])
    whole = [
        open_data(path, DataConfig(resolution=f"{h}x{w}")).images[place]
        for place, (h, w) in enumerate([(20, 31), (40, 24), (16, 16)])
    ]
    dataset = open_data(path, DataConfig(patch=8))
    assert dataset.spec.shape[1:] == (8, 8) and dataset.spec.source_channels == 0
    found = {image.tobytes() for batch in batches(dataset, 30) for image in batch.image}
    possible = {
        picture[top : top + 8, left : left + 8].tobytes()
        for picture in whole
        for top in range(picture.shape[0] - 7)
        for left in range(picture.shape[1] - 7)
    }
    assert len(found) > 50 and found <= possible


def test_batches_of_patches_are_a_function_of_seed_and_step(tmp_path):
    dataset = open_data(folder(tmp_path, [(20, 31), (40, 24)]), DataConfig(patch=8, degrade="noise:5", turn=True))
    first, again = (batches(dataset, 4) for _ in range(2))
    later = batches(dataset, 1, start=3)[0]
    for one, other in [*zip(first, again, strict=True), (first[3], later)]:
        assert np.array_equal(one.image, other.image) and np.array_equal(one.source, other.source)
    assert not np.array_equal(first[0].source, batches(dataset, 1, seed=4)[0].source)


def test_a_source_is_its_image_degraded_to_the_edge(tmp_path):
    """Patches are degraded with what lies around them, so that they are cut from a degraded whole."""
    path = folder(tmp_path, [(48, 48)])
    whole = open_data(path, DataConfig(resolution=48)).images[0]
    small = resize(whole, 0.5)
    dataset = open_data(path, DataConfig(patch=8, degrade="down:2"))
    assert dataset.spec.source_shape == (3, 4, 4) and dataset.spec.scale == 2
    places = 0
    for image, source in (
        (i, s) for batch in batches(dataset, 40) for i, s in zip(batch.image, batch.source, strict=True)
    ):
        top, left = next(
            (t, x) for t in range(41) for x in range(41) if np.array_equal(whole[t : t + 8, x : x + 8], image)
        )
        if top % 2 == 0 and left % 2 == 0 and 4 <= top <= 36 and 4 <= left <= 36:
            assert np.array_equal(source, small[top // 2 : top // 2 + 4, left // 2 : left // 2 + 4])
            places += 1
    assert places > 10


def test_image_and_source_are_turned_alike(tmp_path):
    path = folder(tmp_path, [(8, 8)] * 5)
    dataset = open_data(path, DataConfig(resolution=8, degrade="gray", turn=True))
    upright = {image.tobytes() for image in open_data(path, DataConfig(resolution=8)).images}
    turned = 0
    for batch in batches(dataset, 10):
        gray = np.round(batch.image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))
        assert np.array_equal(batch.source[..., 0], gray)
        turned += sum(image.tobytes() not in upright for image in batch.image)
    assert 40 < turned < 60  # seven in eight of sixty, within chance


def test_without_a_draw_pairs_are_a_function_of_the_row(tmp_path):
    dataset = open_data(folder(tmp_path, [(20, 31), (40, 24)]), DataConfig(patch=8, degrade="noise:5"))
    alone, together = dataset.batch(np.array([3])), dataset.batch(np.array([0, 3, 1]))
    assert np.array_equal(alone.source[0], together.source[1]) and np.array_equal(alone.image[0], together.image[1])


def test_sources_of_a_second_folder_are_matched_by_name(tmp_path):
    images, sources = tmp_path / "photos", tmp_path / "drawings"
    images.mkdir(), sources.mkdir()
    write(images, {f"{k}.png": np.full((6, 6, 3), k, np.uint8) for k in range(5)})
    write(sources, {f"{k}.png": np.full((6, 6, 1), 100 + k, np.uint8) for k in (3, 1, 4, 0, 2, 9)})
    dataset = open_data(images, DataConfig(sources=str(sources), resolution=6))
    assert dataset.spec.source_channels == 1
    for batch in batches(dataset, 5):
        assert np.array_equal(batch.source[:, 0, 0, 0], batch.image[:, 0, 0, 0] + 100)


def test_an_image_without_its_source_is_named(tmp_path):
    images, sources = folder(tmp_path, [(6, 6)] * 3, "a"), folder(tmp_path, [(6, 6)] * 2, "b")
    with pytest.raises(DataError, match="1 of the 3 images have no source.*02.png.*paired=false"):
        open_data(images, DataConfig(sources=str(sources), resolution=6))


def test_two_kinds_of_pictures_need_not_match(tmp_path):
    images, sources = folder(tmp_path, [(6, 6)] * 3, "a"), folder(tmp_path, [(6, 6)] * 7, "b")
    dataset = open_data(images, DataConfig(sources=str(sources), resolution=6, paired=False))
    seen = {source.tobytes() for batch in batches(dataset, 20) for source in batch.source}
    assert len(dataset) == 3 and len(seen) == 7
    assert dataset.digest != open_data(images, DataConfig(resolution=6)).digest


def test_one_class_against_another(tmp_path):
    write(
        tmp_path,
        {
            f"{kind}/{k}.png": np.full((6, 6, 1), value + k, np.uint8)
            for kind, value in [("cat", 0), ("dog", 100)]
            for k in range(3)
        },
    )
    config = DataConfig(resolution=6, only="cat", sources=str(tmp_path), sources_only="dog", paired=False)
    for batch in batches(open_data(tmp_path, config), 3):
        assert (batch.image < 100).all() and (batch.source >= 100).all()
    with pytest.raises(DataError, match="no class 'cow'; its classes are cat, dog"):
        open_data(tmp_path, DataConfig(resolution=6, only="cow"))


def test_noise_is_neither_clipped_nor_rounded_on_its_way(tmp_path):
    dataset = open_data(folder(tmp_path, [(16, 16)]), DataConfig(resolution=16, degrade="noise:100"))
    source = to_batch(dataset.batch(np.zeros(1, np.int64))).source
    assert source.min() < -1 and source.max() > 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": 0}, "patch=0"),
        ({"patch": 9, "degrade": "down:2"}, "not a multiple of 2"),
        ({"degrade": "gray", "sources": "x"}, "one of the two"),
        ({"paired": False}, "say where they lie"),
        ({"patch": 8, "sources": "x"}, "resolution instead"),
        ({"degrade": "bluur:2"}, "unknown degradation 'bluur'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**settings)


def test_a_resolution_that_the_scale_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="7x7 cannot be made 2 times as small"):
        open_data(folder(tmp_path, [(7, 7)]), DataConfig(resolution=7, degrade="down:2"))


def test_the_images_of_a_set_of_patches_are_patches(tmp_path):
    dataset = open_data(folder(tmp_path, [(20, 31), (40, 24)]), DataConfig(patch=8))
    assert dataset.images.shape == (len(dataset), 8, 8, 3)
    assert np.array_equal(dataset.images, dataset.batch(np.arange(len(dataset))).image)


def test_turning_needs_nothing_else(tmp_path):
    path = folder(tmp_path, [(8, 8)] * 3)
    upright = {image.tobytes() for image in open_data(path, DataConfig(resolution=8)).images}
    seen = {
        image.tobytes()
        for batch in batches(open_data(path, DataConfig(resolution=8, turn=True)), 20)
        for image in batch.image
    }
    assert len(seen) > 15 and upright <= seen
