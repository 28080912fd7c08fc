"""A description is made longer only by a service that was named, only it is sent, and the record says who wrote it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import limner
from limner import fetch, prompts
from limner.cli import main
from limner.errors import ConfigError, LimnerError
from limner.made import Recipe


class Service(BaseHTTPRequestHandler):
    """Answers as a language model would; keeps what it was sent."""

    answer: object = {"choices": [{"message": {"content": ' "A round\n red apple " '}}]}
    code, seen = 200, []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, self.headers.get("Authorization"), json.loads(body)))
        self.send_response(self.code)
        if self.code == 302:
            self.send_header("Location", "https://elsewhere.example/")
        self.end_headers()
        said = self.answer
        self.wfile.write(said if isinstance(said, bytes) else json.dumps(said).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def service(monkeypatch):
    """A service on this machine: (its address, what it was sent)."""
    monkeypatch.delenv("LIMNER_OFFLINE", raising=False)
    monkeypatch.setattr(Service, "seen", [])
    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", Service.seen
        server.shutdown()
        thread.join()


def test_the_description_alone_is_sent_and_its_caption_comes_back_tidy(service, monkeypatch):
    url, seen = service
    monkeypatch.setenv(prompts.KEY, "secret")
    found = limner.expand_prompt("apple", url, model="small", words=12)
    assert found == prompts.Expanded("A round red apple", "apple", f"small at {url}")
    ((path, key, question),) = seen
    assert path == "/v1/chat/completions" and key == "Bearer secret" and question["model"] == "small"
    assert [part["content"] for part in question["messages"]][1] == "apple" and "12 words" in str(question)


@pytest.mark.parametrize(
    ("code", "answer", "said"),
    [
        (500, {}, "answers 500"),
        (302, {}, "answers 302"),
        (200, b"<html>", "does not answer in JSON"),
        (200, {"error": "no such model"}, "gives no caption: .*no such model"),
        (200, {"choices": [{"message": {"content": None}}]}, "gives no caption"),
        (200, {"choices": [{"message": {"content": ' "" '}}]}, "empty caption"),
    ],
)
def test_what_is_no_caption_is_an_error_that_says_so(service, monkeypatch, code, answer, said):
    monkeypatch.setattr(Service, "code", code)
    monkeypatch.setattr(Service, "answer", answer)
    with pytest.raises(LimnerError, match=said):
        limner.expand_prompt("apple", service[0], model="small")


def test_nothing_is_sent_where_it_may_not_be(service, monkeypatch):
    url, seen = service
    with pytest.raises(LimnerError, match="only https"):
        limner.expand_prompt("apple", "http://far.example/v1", model="small")
    with pytest.raises(ConfigError, match="empty text"):
        limner.expand_prompt(" ", url, model="small")
    with pytest.raises(ConfigError, match="which model"):
        limner.expand_prompt("apple", url, model="")
    monkeypatch.setenv("LIMNER_OFFLINE", "1")
    with pytest.raises(LimnerError, match="LIMNER_OFFLINE"):
        limner.expand_prompt("apple", url, model="small")
    assert not seen


def test_an_answer_without_end_is_cut_off(service, monkeypatch):
    monkeypatch.setattr(Service, "answer", b"x" * 5_000)
    with pytest.raises(LimnerError, match="larger than the 1,000 bytes"):
        fetch.ask(f"{service[0]}/chat/completions", {}, limit=1_000)


def test_the_record_of_a_picture_says_what_was_asked_and_who_wrote_it(tmp_path, service, limner_home):
    run = tmp_path / "run"
    reader = {"text": "own", "width": 16, "depth": 1, "conditional": "none"}
    model = limner.train(
        "flow-mlp",
        "builtin:shapes",
        out=run,
        config=reader,
        data_config={"resolution": 8},
        steps=1,
        batch=4,
        precision="fp32",
        preview_every="0",
        tensorboard=False,
    )
    written = limner.expand_prompt("apple", service[0], model="small")
    made = model.sample(1, text=written, steps=2)
    (plain,) = model.sample(1, text=written.text, steps=2).images
    made.save(tmp_path / "out")
    recipe = Recipe.read(tmp_path / "out" / "000000.png")
    assert recipe.text == written.text and recipe.expanded == {"asked": "apple", "by": written.by}
    assert (made.images[0] == plain).all() and (model.remake(recipe).images[0] == plain).all()

    words = ["sample", str(run), "-n", "1", "--text", "apple", "--set", "steps=2", "--device", "cpu", "-q"]
    assert main([*words, "--expand", f"small@{service[0]}", "--out", str(tmp_path / "by-command")]) == 0
    assert Recipe.read(tmp_path / "by-command" / "000000.png").expanded == recipe.expanded
    assert main([*words, "--expand", "small", "--out", str(tmp_path / "none")]) == 2
