"""The door to the network: shut when asked, https alone, nothing kept but the bytes that were expected."""

import hashlib
import io
import urllib.error
import urllib.request
from email.message import Message

import pytest

from limner import fetch
from limner.errors import LimnerError

DATA = b"x" * 3000
SHA256 = hashlib.sha256(DATA).hexdigest()
URL = "https://weights.example/file"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.delenv("LIMNER_OFFLINE", raising=False)
    monkeypatch.setattr(fetch, "_open", lambda url, timeout: pytest.fail("the network was used"))


def serve(monkeypatch, answer):
    """Stands in for the network: `answer` is bytes, or an error to raise."""

    def opened(url, timeout):
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(fetch, "_open", opened)


def test_the_expected_bytes_come_through(monkeypatch):
    serve(monkeypatch, DATA)
    assert fetch.fetch(URL, sha256=SHA256, limit=3000) == DATA


def test_other_bytes_are_refused(monkeypatch):
    serve(monkeypatch, DATA[:-1] + b"y")
    with pytest.raises(LimnerError, match="holds other bytes than expected"):
        fetch.fetch(URL, sha256=SHA256, limit=3000)


def test_reading_stops_at_the_limit(monkeypatch):
    class Endless(io.RawIOBase):
        read_so_far = 0

        def read(self, size=-1):
            self.read_so_far += size
            return b"x" * size

    endless = Endless()
    monkeypatch.setattr(fetch, "_open", lambda url, timeout: endless)
    with pytest.raises(LimnerError, match="larger than the 5,000,000 bytes"):
        fetch.fetch(URL, sha256=SHA256, limit=5_000_000)
    assert endless.read_so_far == 5_000_001


@pytest.mark.parametrize("value", ["1", "yes"])
def test_offline_nothing_is_asked(monkeypatch, value):
    monkeypatch.setenv("LIMNER_OFFLINE", value)
    with pytest.raises(LimnerError, match="LIMNER_OFFLINE is set"):
        fetch.fetch(URL, sha256=SHA256, limit=1)


@pytest.mark.parametrize("value", ["", "0"])
def test_zero_is_not_offline(monkeypatch, value):
    monkeypatch.setenv("LIMNER_OFFLINE", value)
    assert not fetch.offline()


@pytest.mark.parametrize("url", ["http://weights.example/file", "ftp://weights.example", "file:///etc/passwd", "/etc"])
def test_only_https_is_asked(url):
    with pytest.raises(LimnerError, match="only https:// addresses"):
        fetch.fetch(url, sha256=SHA256, limit=1)


def test_a_redirect_leaves_https_only_for_https():
    handler = fetch._OnlyHttps()
    request = urllib.request.Request(URL)
    headers = Message()
    followed = handler.redirect_request(request, None, 302, "Found", headers, "https://elsewhere.example/file")
    assert followed.full_url == "https://elsewhere.example/file"
    with pytest.raises(LimnerError, match="only https"):
        handler.redirect_request(request, None, 302, "Found", headers, "http://elsewhere.example/file")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.HTTPError(URL, 404, "Not Found", Message(), io.BytesIO()), "answers 404 Not Found"),
        (urllib.error.URLError("name or service not known"), "cannot be reached: name or service not known"),
        (TimeoutError("timed out"), "cannot be reached: timed out"),
        (ConnectionResetError("reset by peer"), "cannot be reached: reset by peer"),
    ],
)
def test_what_goes_wrong_is_said(monkeypatch, error, said):
    serve(monkeypatch, error)
    with pytest.raises(LimnerError, match=said):
        fetch.fetch(URL, sha256=SHA256, limit=3000)


def test_a_body_that_breaks_off_is_refused(monkeypatch):
    class Breaking(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise TimeoutError("timed out")
            return super().read(100)

    monkeypatch.setattr(fetch, "_open", lambda url, timeout: Breaking(DATA))
    with pytest.raises(LimnerError, match="cannot be reached"):
        fetch.fetch(URL, sha256=SHA256, limit=3000)
