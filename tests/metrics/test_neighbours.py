"""Nearest neighbours against the plain way in float64, whatever the tiles; clusters against constructed ones."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from limner.errors import ConfigError, DataError
from limner.metrics import neighbours
from limner.metrics.neighbours import clusters, nearest, small_pixels
from limner.rng import generator


def rows(count, size, index=0):
    return generator(0, "test neighbours", index).standard_normal((count, size)).astype(np.float32)


def plain(queries, references, k):
    """Every distance in float64, sorted stably."""
    apart = queries.astype(np.float64)[:, None] - references.astype(np.float64)
    distances = np.sqrt(np.square(apart).sum(2))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, 1)


@pytest.mark.parametrize("k", [1, 3, 40])
def test_neighbours_are_those_of_the_plain_way(k):
    queries, references = rows(70, 20), rows(90, 20, 1)
    found, (order, distances) = nearest(queries, references, k=k), plain(queries, references, k)
    assert np.array_equal(found.indices, order)
    assert np.array_equal(found.distances, distances)


def test_neighbours_agree_with_scikit_learn():
    queries, references = rows(300, 64), rows(500, 64, 1)
    found = nearest(queries, references, k=5)
    distances, indices = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(references).kneighbors(queries)
    assert np.array_equal(found.indices, indices) and found.distances == pytest.approx(distances, abs=1e-4)


def test_tiles_change_nothing(monkeypatch):
    queries, references = rows(70, 33), rows(150, 33, 1)
    whole = nearest(queries, references, k=4)
    monkeypatch.setattr(neighbours, "QUERIES", 7)
    monkeypatch.setattr(neighbours, "REFERENCES", 11)
    monkeypatch.setattr(neighbours, "REFINED", 1)
    tiled = nearest(queries, references, k=4)
    assert np.array_equal(whole.indices, tiled.indices) and np.array_equal(whole.distances, tiled.distances)


def test_one_query_alone_has_the_neighbours_that_it_has_among_others():
    queries, references = rows(30, 16), rows(60, 16, 1)
    together = nearest(queries, references, k=2)
    for row in range(30):
        alone = nearest(queries[row : row + 1], references, k=2)
        assert np.array_equal(alone.distances[0], together.distances[row])


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_neighbours_that_float32_cannot_tell_apart_are_told_apart(offset):
    """40 references at distances 1 + i 1e-9 from the query: the bound leaves a doubt, and float64 settles it."""
    directions = generator(0, "directions").standard_normal((40, 8))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    order = generator(0, "order").permutation(40)
    references = offset + directions * (1 + 1e-9 * order[:, None])
    found = nearest(np.full((1, 8), offset), references, k=3)
    assert found.indices[0].tolist() == np.argsort(order)[:3].tolist()
    assert np.all(np.diff(found.distances[0]) > 0.9e-9)


def test_copies_lie_at_distance_zero_and_the_first_of_them_is_named():
    references = rows(30, 12)
    references[[8, 20]] = references[3]
    found = nearest(references[3:4], references, k=4)
    assert found.indices[0, :3].tolist() == [3, 8, 20] and found.distances[0, :3].tolist() == [0, 0, 0]
    assert found.distances[0, 3] > 0


def test_many_copies_of_one_row_are_all_at_distance_zero():
    references = np.repeat(rows(2, 12), 50, axis=0)
    assert np.all(nearest(references, references, k=30).distances == 0)


def test_a_row_can_be_kept_from_being_its_own_neighbour():
    points = rows(100, 6)
    found = nearest(points, points, k=2, exclude=np.arange(100))
    assert not (found.indices == np.arange(100)[:, None]).any()
    assert np.array_equal(found.distances, plain(points, points, 3)[1][:, 1:])


def test_very_large_features_do_not_overflow():
    points = rows(50, 10).astype(np.float64) * 1e30
    assert np.array_equal(nearest(points[:5], points[5:]).indices, plain(points[:5], points[5:], 1)[0])


def test_equal_references_do_not_divide_by_zero():
    assert nearest(np.zeros((2, 3)), np.zeros((4, 3)), k=4).distances.tolist() == [[0] * 4] * 2


@pytest.mark.parametrize(
    ("queries", "references", "given", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros((4, 5)), {}, ConfigError, "3 features and references of 5"),
        (np.zeros((2, 3)), np.zeros((4, 3)), {"k": 5}, ConfigError, "k=5 neighbours cannot be found among 4"),
        (np.zeros((2, 3)), np.zeros((4, 3)), {"k": 4, "exclude": np.zeros(2, int)}, ConfigError, "among 3"),
        (np.zeros((2, 3)), np.zeros((4, 3)), {"exclude": np.zeros(3, int)}, ConfigError, "does not name one"),
        (np.zeros((0, 3)), np.zeros((4, 3)), {}, ConfigError, "queries of float64 \\(0, 3\\)"),
        (np.zeros(3), np.zeros((4, 3)), {}, ConfigError, "use \\(N, D\\)"),
        (np.zeros((2, 3)), np.array([[0, 0, 0], [0, np.nan, 0]]), {}, DataError, "row 1 of references is not finite"),
    ],
)
def test_what_cannot_be_searched_is_refused(queries, references, given, error, message):
    with pytest.raises(error, match=message):
        nearest(queries, references, **given)


# --- pixels -----------------------------------------------------------------------------------------------------------


def test_small_images_keep_their_pixels():
    images = generator(0, "pixels").integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)
    assert np.array_equal(small_pixels(images), (images / np.float32(255)).reshape(5, -1).astype(np.float32))


def test_large_images_are_brought_to_the_side_and_flat_ones_stay_flat():
    images = np.full((2, 100, 80, 1), 51, np.uint8)
    assert small_pixels(images, side=16) == pytest.approx(np.full((2, 256), 0.2))


def test_transparent_pixels_count_as_white():
    clear = np.zeros((1, 4, 4, 4), np.uint8)
    assert np.all(small_pixels(clear) == 1) and small_pixels(clear).shape == (1, 48)


def test_what_is_no_batch_of_images_has_no_pixels():
    with pytest.raises(ConfigError, match="use uint8"):
        small_pixels(np.zeros((2, 8, 8, 3)))


# --- clusters ---------------------------------------------------------------------------------------------------------


def test_clusters_find_well_separated_groups():
    truth = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])
    points = np.repeat(truth, 50, axis=0) + 0.1 * rows(200, 2)
    centres = clusters(points, 4)
    assert nearest(truth, centres).distances.max() < 0.1


def test_clusters_are_the_means_of_their_cells_once_nothing_moves():
    points = rows(200, 3)
    centres = clusters(points, 6, rounds=500)
    cells = nearest(points, centres).indices[:, 0]
    assert centres == pytest.approx(np.stack([points[cells == cell].mean(0) for cell in range(6)]), abs=1e-5)


def test_equal_rows_make_one_cluster():
    assert clusters(np.ones((10, 2)), 3) == pytest.approx(np.ones((1, 2)))


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(ConfigError, match="5 clusters of 3 rows"):
        clusters(np.zeros((3, 2)), 5)
