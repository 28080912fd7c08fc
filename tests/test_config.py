"""Settings from files and flags: right ones arrive typed, wrong ones end in a ConfigError that names the way out."""

import math
from dataclasses import asdict, dataclass
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from limner.config import from_dict, load_toml, parse_assignments, parse_value, to_dict
from limner.data import DataConfig
from limner.errors import ConfigError
from limner.models.ae import AutoencoderConfig
from limner.models.gan import GANConfig
from limner.training.settings import TrainConfig
from limner.types import Attribute, DataSpec


@dataclass(frozen=True)
class Paint:
    colour: Literal["red", "blue"] = "red"
    coats: int = 1
    thickness: float | None = None
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.coats < 1:
            raise ConfigError(f"coats={self.coats} is not positive; use 1 or more")


@dataclass(frozen=True)
class Brush:
    width: int = 3
    coats: int = 1


SECTIONS = {"paint": Paint, "brush": Brush}
REAL = {"train": TrainConfig, "data": DataConfig, "model": AutoencoderConfig}


def test_values_arrive_with_their_types():
    made = from_dict(Paint, {"coats": 2, "thickness": 1, "sizes": [1, 2]})
    assert made == Paint(coats=2, thickness=1.0, sizes=(1, 2)) and isinstance(made.thickness, float)


@pytest.mark.parametrize("config", [Paint(sizes=(3,)), TrainConfig(betas=(0.5, 0.9)), GANConfig(augment=("colour",))])
def test_a_config_comes_back_from_its_plain_values(config):
    assert from_dict(type(config), to_dict(config)) == config


def test_the_description_of_a_data_set_comes_back_from_json():
    data = DataSpec(3, 8, 8, ("a", "b"), (Attribute("age", "continuous", mean=3.0, std=2.0),))
    again = from_dict(DataSpec, {**to_dict(data), "attributes": tuple(Attribute(**asdict(a)) for a in data.attributes)})
    assert again == data


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colur": "red"}, "unknown key 'wall.colur'; did you mean wall.colour?"),
        ({"colour": "green"}, "wall.colour='green': Input should be 'red' or 'blue'"),
        ({"coats": "many"}, "wall.coats='many': Input should be a valid integer"),
        ({"coats": 0}, "wall: coats=0 is not positive; use 1 or more"),
        ({"sizes": [1, "x"]}, "wall.sizes='x': Input should be a valid integer"),
        ({5: 1}, "unknown key 'wall.5'"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(values, message):
    with pytest.raises(ConfigError) as caught:
        from_dict(Paint, values, where="wall")
    assert str(caught.value).startswith(message)


def test_a_huge_wrong_value_is_shown_in_part():
    with pytest.raises(ConfigError) as caught:
        from_dict(Paint, {"coats": "x" * 1_000_000})
    assert len(str(caught.value)) < 300


def test_assignments_go_to_the_section_that_knows_the_key():
    values = parse_assignments(["colour=blue", "brush.coats = 4", "sizes=[1, 2]", "thickness=none"], SECTIONS)
    assert values == {"paint": {"colour": "blue", "sizes": [1, 2], "thickness": None}, "brush": {"coats": 4}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("colour", "--set 'colour' has no '='; write --set key=value"),
        ("coats=2", "key 'coats' could be brush.coats or paint.coats; write it in full"),
        ("colur=red", "unknown key 'colur'; did you mean colour?"),
        ("paint.colur=red", "unknown key 'paint.colur'; did you mean paint.colour?"),
        ("=3", "unknown key ''"),
    ],
)
def test_an_assignment_that_cannot_be_used_says_why(assignment, message):
    with pytest.raises(ConfigError) as caught:
        parse_assignments([assignment], SECTIONS)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("true", True),
        ("none", None),
        ("None", None),
        ("2m", "2m"),
        ("[1, 2]", [1, 2]),
        ('"3"', "3"),
        ("", ""),
        ("1\nbudget = 2", "1\nbudget = 2"),
        ("[" * 20_000, "[" * 20_000),
        ("9" * 5_000, "9" * 5_000),
    ],
)
def test_a_value_is_read_as_toml_or_else_is_the_text_itself(text, value):
    assert parse_value(text) == value and type(parse_value(text)) is type(value)


@pytest.mark.parametrize(
    "content", [b"a = = 1", b"\xff\xfe", b"a = " + b"[" * 20_000, b"a = " + b"9" * 5_000, b"a=1\na=2", b"\0"]
)
def test_a_file_that_is_not_toml_is_named(tmp_path, content):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.toml is not valid TOML"):
        load_toml(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbf[train]\nsteps = 3\n")
    assert load_toml(path) == {"train": {"steps": 3}}


@pytest.mark.parametrize("name", ["missing.toml", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot read"):
        load_toml(tmp_path / name)


# --- whatever is typed, only a ConfigError comes out ------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


def fuzzed(cls):
    """Values for some of the fields, of their own kind or of any other."""
    numbers = st.sampled_from([0, -1, 1, math.nan, math.inf, -math.inf, 1e400, 10**40, "10m", "none", "0.5"])
    names = st.sampled_from([*cls.__dataclass_fields__])
    return st.tuples(st.just(cls), st.dictionaries(names | st.text(max_size=6), anything | numbers, max_size=4))


@settings(max_examples=300)
@given(st.sampled_from([*REAL.values(), GANConfig, Attribute, DataSpec]).flatmap(fuzzed))
@example((TrainConfig, {"betas": [math.nan, 2]}))
@example((TrainConfig, {"checkpoint_every": "9" * 5_000}))
def test_any_values_make_a_config_or_a_config_error(cls_and_values):
    cls, values = cls_and_values
    try:
        made = from_dict(cls, values, where="here")
    except ConfigError as error:
        assert str(error)
    else:
        assert isinstance(made, cls)


keys = st.sampled_from([*TrainConfig.__dataclass_fields__, "data.flip", "model.latent", "train.x", "seed"])


@settings(max_examples=300)
@given(st.lists(st.text(max_size=20) | st.builds("{}={}".format, keys, anything | st.text(max_size=30)), max_size=3))
def test_any_assignments_make_values_or_a_config_error(assignments):
    try:
        values = parse_assignments(assignments, REAL)
        for section, cls in REAL.items():
            from_dict(cls, values[section], where=section)
    except ConfigError as error:
        assert str(error)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_makes_values_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        assert isinstance(load_toml(path), dict)
    except ConfigError:
        pass


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_refused(value):
    """Limits are comparisons, which NaN passes or fails as they happen to be written."""
    with pytest.raises(ConfigError, match="paint.thickness=.* is not a finite number"):
        from_dict(Paint, {"thickness": value}, where="paint")
    with pytest.raises(ConfigError, match="betas=.* is not a finite number"):
        from_dict(TrainConfig, {"betas": [0.5, value]})
