"""Each layout that people have on their disks comes out as the images, splits, classes and captions that went in."""

import json

import numpy as np
import pytest
from data_cases import gz, idx, pack, picture, pictures, png, write

from limner.data import DataConfig, open_data
from limner.errors import DataError


def by_id(dataset):
    """name -> image, for every row."""
    return dict(zip(dataset.ids, dataset.images, strict=True))


def assert_pictures(dataset, seeds: dict[str, int]):
    """The data set holds exactly these names, each with the picture of its seed."""
    assert sorted(dataset.ids) == sorted(seeds)
    for name, image in by_id(dataset).items():
        assert np.array_equal(image, picture(seeds[name], channels=dataset.spec.channels)), name


def test_flat_folder(tmp_path):
    write(tmp_path, {"b.png": picture(1), "a.png": picture(0), "notes.md": "x"})
    dataset = open_data(tmp_path)
    assert dataset.ids == ["a.png", "b.png"]
    assert_pictures(dataset, {"a.png": 0, "b.png": 1})
    assert dataset.spec.classes == () and set(dataset.labels) == {-1}
    assert dataset.batch(np.array([1, 0])).label is None


def test_class_folders(tmp_path):
    write(tmp_path, {"dog/1.png": picture(1), "cat/1.png": picture(0), "cat/2.png": picture(2), "README.md": "x"})
    dataset = open_data(tmp_path)
    assert dataset.spec.classes == ("cat", "dog")
    assert dict(zip(dataset.ids, dataset.labels, strict=True)) == {"cat/1.png": 0, "cat/2.png": 0, "dog/1.png": 1}
    assert dataset.report.classes == {"cat": 2, "dog": 1}


def test_numbered_class_folders_are_ordered_by_number(tmp_path):
    write(tmp_path, {f"{number}/x.png": picture(number) for number in (10, 2, 1)})
    assert open_data(tmp_path).spec.classes == ("1", "2", "10")


def test_one_folder_around_everything_is_no_class(tmp_path):
    write(tmp_path, {"photos/a.png": picture(0), "photos/b.png": picture(1), "LICENSE.txt": "x"})
    assert open_data(tmp_path).spec.classes == ()


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders_with_classes_inside(tmp_path, val):
    files = {"train/cat/a.png": picture(0), "train/dog/b.png": picture(1), f"{val}/dog/c.png": picture(2)}
    write(tmp_path, files | {"test/cat/d.png": picture(3)})
    for split, names in {"train": ["a", "b"], "val": ["c"], "test": ["d"], None: ["a", "b", "c", "d"]}.items():
        dataset = open_data(tmp_path, split=split)
        assert [name.split("/")[-1][0] for name in dataset.ids] == names
        assert dataset.spec.classes == ("cat", "dog")
    assert dataset.report.splits == {"train": 2, "val": 1, "test": 1}


def test_a_class_may_be_called_test(tmp_path):
    write(tmp_path, {"test/a.png": picture(0), "blank/b.png": picture(1)})
    assert open_data(tmp_path).spec.classes == ("blank", "test")


def test_absent_split_names_the_ones_there_are(tmp_path):
    write(tmp_path, {"train/a.png": picture(0), "test/b.png": picture(1)})
    with pytest.raises(DataError, match=r"no split 'val'; it has train \(1\), test \(1\)"):
        open_data(tmp_path, split="val")


def test_caption_files_beside_the_images(tmp_path):
    write(
        tmp_path,
        {"a.png": picture(0), "a.txt": "red, round\n\n a ball \n", "b.jpg": png(picture(1)), "c.txt": "no one"},
    )
    write(tmp_path, {"b.caption": "a cube"})
    dataset = open_data(tmp_path)
    assert dataset.captions == [("red, round", "a ball"), ("a cube",)]
    assert dataset.batch(np.array([1, 0])).text == ["a cube", "red, round"]
    assert dataset.batch(np.array([0]), pick=np.array([0.9])).text == ["a ball"]
    assert dataset.report.rows_without_file == ["c.txt"]


ROWS = [
    {"file_name": "a.png", "text": "one", "label": "x", "age": 3.5, "tags": ["p", "q"]},
    {"file_name": "sub/b.png", "text": ["two", "deux"], "label": "y", "age": None, "tags": []},
    {"file_name": "gone.png", "text": "three", "label": "x", "age": 4.5, "tags": ["q"]},
]


def test_metadata_jsonl(tmp_path):
    write(tmp_path, {"a.png": picture(0), "sub/b.png": picture(1), "stray.png": picture(2)})
    write(tmp_path, {"metadata.jsonl": "\n".join(map(json.dumps, ROWS))})
    dataset = open_data(tmp_path)
    assert_pictures(dataset, {"a.png": 0, "sub/b.png": 1})
    assert dataset.captions == [("one",), ("two", "deux")]
    assert dataset.spec.classes == ("x", "y") and dataset.labels.tolist() == [0, 1]
    assert dataset.report.rows_without_file == ["gone.png"]
    assert dataset.report.files_without_row == ["stray.png"]
    tags = next(attribute for attribute in dataset.spec.attributes if attribute.name == "tags")
    assert tags.kind == "multilabel" and tags.values == ("p", "q")


def test_metadata_csv_in_split_folders(tmp_path):
    for split, seeds in {"train": (0, 1), "test": (2, 3)}.items():
        rows = "".join(f"{seed}.png,pic {seed},{'yes' if seed % 2 else 'no'}\n" for seed in seeds)
        write(tmp_path / split, {f"{seed}.png": picture(seed) for seed in seeds})
        write(tmp_path / split, {"metadata.csv": "\ufefffile_name,caption,odd\n" + rows})
    dataset = open_data(tmp_path, split="test")
    assert dataset.captions == [("pic 2",), ("pic 3",)]
    assert dataset.spec.attributes[0].kind == "binary"
    assert dataset.attributes.tolist() == [[-1.0], [1.0]]


def test_rows_that_repeat_an_image_join_their_captions(tmp_path):
    write(tmp_path, {"a.png": picture(0), "metadata.csv": "file_name,text\na.png,one\na.png,two\n"})
    assert open_data(tmp_path).captions == [("one", "two")]


def test_a_table_that_names_no_image_is_an_error_with_examples(tmp_path):
    write(tmp_path, {"a.png": picture(0), "metadata.csv": "file_name,text\nimg/a.png,one\n"})
    with pytest.raises(DataError, match=r"rows: img/a.png; images: a.png"):
        open_data(tmp_path)


def test_unreadable_rows_are_counted_and_too_many_are_an_error(tmp_path):
    lines = [json.dumps({"file_name": f"{seed}.png", "text": "t"}) for seed in range(40)]
    write(tmp_path, {f"{seed}.png": picture(seed) for seed in range(40)})
    write(tmp_path, {"metadata.jsonl": "\n".join([*lines, "{torn"])})
    assert "1 rows of metadata.jsonl cannot be read: line 41" in open_data(tmp_path).report.warnings[0]
    write(tmp_path, {"metadata.jsonl": "\n".join([*lines, *["[]"] * 9])})
    with pytest.raises(DataError, match="9 of the 49 rows"):
        open_data(tmp_path)


@pytest.mark.parametrize("folder", ["", "img_align_celeba/"])
def test_celeba(tmp_path, folder):
    write(tmp_path, {f"{folder}{seed:06d}.jpg": png(picture(seed)) for seed in range(4)})
    table = "5\nBald Young\n000000.jpg -1  1\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n000009.jpg 1 1\n"
    write(tmp_path, {"list_attr_celeba.txt": table})
    write(tmp_path, {"list_eval_partition.txt": "000000.jpg 0\n000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n"})
    dataset = open_data(tmp_path)
    assert [(a.name, a.kind, a.values) for a in dataset.spec.attributes] == [
        ("Bald", "binary", ("-1", "1")),
        ("Young", "binary", ("-1", "1")),
    ]
    assert dataset.attributes.tolist() == [[-1, 1], [1, -1]]
    assert dataset.report.splits == {"train": 2, "val": 1, "test": 1}
    assert dataset.report.rows_without_file == ["000009.jpg"]


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, packed):
    close, end = (gz, ".gz") if packed else (bytes, "")
    train, test = pictures(3, channels=1), pictures(2, channels=1)
    for stem, images, labels in (("train", train, [7, 0, 10]), ("t10k", test, [0, 7])):
        write(tmp_path, {f"{stem}-images-idx3-ubyte{end}": close(idx(images[..., 0]))})
        write(tmp_path, {f"{stem}-labels-idx1-ubyte{end}": close(idx(np.array(labels)))})
    dataset = open_data(tmp_path)
    assert np.array_equal(dataset.images, train)
    assert dataset.spec.classes == ("0", "7", "10") and dataset.labels.tolist() == [1, 0, 2]
    assert np.array_equal(open_data(tmp_path, split="test").images, test)
    alone = open_data(tmp_path / f"train-images-idx3-ubyte{end}")
    assert np.array_equal(alone.images, train) and len(alone.spec.classes) == 3


@pytest.mark.parametrize("hurt", [lambda data: data[:-5], lambda data: b"\0\0\x0d" + data[3:], lambda data: data[:3]])
def test_idx_that_is_not_intact_says_so(tmp_path, hurt):
    write(tmp_path, {"train-images-idx3-ubyte": hurt(idx(pictures(3, channels=1)[..., 0]))})
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        open_data(tmp_path)


def test_idx_with_another_number_of_labels_is_refused(tmp_path):
    write(tmp_path, {"train-images-idx3-ubyte": idx(pictures(3, channels=1)[..., 0])})
    write(tmp_path, {"train-labels-idx1-ubyte": idx(np.array([1, 2]))})
    with pytest.raises(DataError, match="3 images but .* 2 labels"):
        open_data(tmp_path)


def cifar_rows(images, *heads):
    labels = np.stack([np.asarray(head, np.uint8) for head in heads], axis=1)
    return np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1).tobytes()


def test_cifar10_binary(tmp_path):
    images = np.stack([picture(seed, 32, 32) for seed in range(6)])
    write(tmp_path, {f"data_batch_{k + 1}.bin": cifar_rows(images[k : k + 1], [k % 3]) for k in range(5)})
    write(tmp_path, {"test_batch.bin": cifar_rows(images[5:], [1]), "batches.meta.txt": "plane\ncar\nbird\n\n"})
    dataset = open_data(tmp_path)
    assert np.array_equal(dataset.images, images[:5])
    assert dataset.spec.classes == ("plane", "car", "bird") and dataset.labels.tolist() == [0, 1, 2, 0, 1]
    assert np.array_equal(open_data(tmp_path, split="test").images, images[5:])


def test_cifar100_binary(tmp_path):
    images = np.stack([picture(seed, 32, 32) for seed in range(2)])
    write(tmp_path, {"train.bin": cifar_rows(images, [1, 0], [2, 0]), "fine_label_names.txt": "apple\nbear\ncan\n"})
    write(tmp_path, {"coarse_label_names.txt": "fruit\nthings\n"})
    dataset = open_data(tmp_path)
    assert dataset.labels.tolist() == [2, 0]
    assert dataset.spec.attributes[0].values == ("fruit", "things")
    assert np.array_equal(dataset.images, images)


def test_pickled_cifar_is_refused_with_the_way_out(tmp_path):
    write(tmp_path, {"data_batch_1": b"\x80\x02}q\x00.", "batches.meta": b"\x80\x02}q\x00."})
    with pytest.raises(DataError, match="cifar-10-binary.tar.gz"):
        open_data(tmp_path)


def test_npz_with_splits(tmp_path):
    images = pictures(5)
    np.savez(tmp_path / "set.npz", train_x=images[:3], train_y=[2, 0, 2], test_x=images[3:], test_y=[[0], [2]])
    for path in (tmp_path, tmp_path / "set.npz"):
        assert np.array_equal(open_data(path).images, images[:3])
        test = open_data(path, split="test")
        assert np.array_equal(test.images, images[3:]) and test.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("key", "convert"),
    [
        ("images", lambda x: x),
        ("x", lambda x: x.transpose(0, 3, 1, 2)),
        ("arr_0", lambda x: x / 255),
        ("images", lambda x: (x / 127.5 - 1).astype(np.float32)),
        ("images", lambda x: x.astype(np.int64)),
    ],
)
def test_npz_numbers_and_orders(tmp_path, key, convert):
    np.savez_compressed(tmp_path / "set.npz", **{key: convert(pictures(4))})
    assert np.array_equal(open_data(tmp_path / "set.npz").images, pictures(4))


@pytest.mark.parametrize(
    "array", [np.array([{}, {}]), pictures(3).astype(float) * 9, np.zeros((3, 8, 8, 7)), np.full((2, 8, 8), np.nan)]
)
def test_npz_that_is_no_images_is_refused(tmp_path, array):
    np.savez(tmp_path / "set.npz", images=array)
    with pytest.raises(DataError, match="images"):
        open_data(tmp_path / "set.npz")


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz"])
def test_an_archive_is_the_folder_it_was_made_of(tmp_path, name):
    root = tmp_path / "set"
    write(root, {f"{part}/{kind}/{i}.png": picture(i) for part in ("train", "test") for kind in "ab" for i in range(3)})
    write(root, {"train/a/0.txt": "first"})
    folder, archive = open_data(root, split=None), open_data(pack(root, tmp_path / name), split=None)
    assert folder.ids == archive.ids and folder.captions == archive.captions
    assert np.array_equal(folder.images, archive.images) and np.array_equal(folder.labels, archive.labels)
    assert folder.digest == archive.digest


def test_an_archive_of_arrays_is_read_too(tmp_path):
    images = pictures(3, channels=1)
    write(tmp_path / "set/MNIST", {"train-images-idx3-ubyte.gz": gz(idx(images[..., 0]))})
    assert np.array_equal(open_data(pack(tmp_path / "set", tmp_path / "set.tar.gz")).images, images)


def test_builtin_data_comes_split_by_split():
    whole, train, test = (open_data("builtin:digits", split=split) for split in (None, "train", "test"))
    assert whole.ids == train.ids + test.ids
    assert whole.spec.classes == tuple("0123456789")


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="there is no"):
        open_data(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"no images in .*passed over: nothing"):
        open_data(tmp_path)
    write(tmp_path, {"set.zip": b"PK\x03\x04"})
    with pytest.raises(DataError, match="unpack it"):
        open_data(tmp_path / "set.zip")


def test_resolution_fit_and_channels_are_what_was_asked(tmp_path):
    write(tmp_path, {"a.png": picture(0, 40, 20), "b.png": picture(1, 20, 40)})
    for fit in ("crop", "pad", "squash"):
        dataset = open_data(tmp_path, DataConfig(resolution="16x24", fit=fit, channels=1))
        assert dataset.images.shape == (2, 16, 24, 1) and dataset.spec.shape == (1, 16, 24)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(30, 20)] * 3 + [(9, 9)], (30, 20)), ([(128, 128)] * 3, (64, 64)), ([(20, 90), (33, 50), (40, 35)], (32, 32))],
)
def test_default_resolution(tmp_path, sizes, expected):
    write(tmp_path, {f"{i}.png": picture(i, *size) for i, size in enumerate(sizes)})
    dataset = open_data(tmp_path)
    assert (dataset.spec.height, dataset.spec.width) == expected, dataset.report.resolution


def test_default_channels_are_what_the_data_has(tmp_path):
    clear = np.dstack([picture(0), np.full((8, 8), 255, np.uint8)])
    gray, colour, opaque, half = picture(0, channels=1), picture(1), clear, picture(2, channels=4)
    for images, expected in [((gray, gray), 1), ((gray, colour), 3), ((opaque, gray), 3), ((gray, half), 4)]:
        root = tmp_path / f"set{expected}{images[0].shape[2]}"
        write(root, {f"{i}.png": image for i, image in enumerate(images)})
        assert open_data(root).spec.channels == expected


def test_transparency_is_laid_on_the_background(tmp_path):
    write(tmp_path, {"a.png": np.zeros((8, 8, 4), np.uint8)})
    dataset = open_data(tmp_path, DataConfig(channels=3, background="#102030"))
    assert np.array_equal(dataset.images[0, 0, 0], [16, 32, 48])
