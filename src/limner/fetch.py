"""The one door to the network: a file that is known by its SHA-256, or a question to a service that the user names.

Nothing here is asked for unless a user wants what only a download brings. LIMNER_OFFLINE=1 keeps the door shut.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import IO, Any

from .errors import LimnerError

TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 20
OFFLINE = "LIMNER_OFFLINE"


def offline() -> bool:
    """Whether the user forbids the network: LIMNER_OFFLINE is set to anything but 0."""
    return os.environ.get(OFFLINE, "0") not in ("", "0")


def fetch(url: str, *, sha256: str, limit: int, timeout: float = TIMEOUT) -> bytes:
    """The bytes at `url`, after their SHA-256 was found to be `sha256`.

    limit     bytes, at most
    timeout   seconds that the other side may be silent

    Raises LimnerError when the network is forbidden or fails, for another address than https (redirects too), for
    more bytes than `limit`, and for another hash.
    """
    if offline():
        raise LimnerError(f"{url} was not fetched, because {OFFLINE} is set")
    _require_https(url)
    try:
        with _open(url, timeout) as answer:
            data = _read(answer, url, limit)
    except urllib.error.HTTPError as error:
        with error:
            raise LimnerError(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise LimnerError(f"{url} cannot be reached: {reason}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise LimnerError(f"{url} holds other bytes than expected: SHA-256 {found}, not {sha256}; nothing was kept")
    return data


def ask(url: str, question: Mapping[str, Any], *, key: str = "", limit: int = 1 << 20, timeout: float = TIMEOUT) -> Any:
    """What the service at `url` answers to a JSON question, as JSON.

    key       sent as bearer token, if there is one
    limit     bytes of the answer, at most
    timeout   seconds that the other side may be silent

    Raises LimnerError when the network is forbidden or fails, for an answer that is no JSON or too long, and for an
    address that is neither https nor of this machine. Redirects are not followed: they would carry the key elsewhere.
    """
    if offline():
        raise LimnerError(f"{url} was not asked, because {OFFLINE} is set")
    local = urllib.parse.urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1") and url.startswith("http://")
    if not local:
        _require_https(url)
    headers = {"User-Agent": "limner", "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        with _post(url, json.dumps(question).encode(), headers, timeout) as answer:
            return json.loads(_read(answer, url, limit))
    except urllib.error.HTTPError as error:
        with error:
            raise LimnerError(f"{url} answers {error.code} {error.reason}") from None
    except ValueError as error:
        raise LimnerError(f"{url} does not answer in JSON: {error}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise LimnerError(f"{url} cannot be reached: {reason}") from None


def _post(url: str, data: bytes, headers: Mapping[str, str], timeout: float) -> IO[bytes]:
    request = urllib.request.Request(url, data, dict(headers))
    return urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent elsewhere."""

    def redirect_request(self, request, answer, code, message, headers, url):
        return None  # the answer then is the error that it is


def _read(answer: IO[bytes], url: str, limit: int) -> bytes:
    data = bytearray()
    while block := answer.read(min(_BLOCK, limit + 1 - len(data))):
        data += block
        if len(data) > limit:
            raise LimnerError(f"{url} is larger than the {limit:,} bytes that are allowed; nothing was kept")
    return bytes(data)


def _open(url: str, timeout: float) -> IO[bytes]:
    request = urllib.request.Request(url, headers={"User-Agent": "limner"})
    return urllib.request.build_opener(_OnlyHttps).open(request, timeout=timeout)


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never to a place that could be listened to or altered on the way."""

    def redirect_request(self, request, answer, code, message, headers, url):
        _require_https(url)
        return super().redirect_request(request, answer, code, message, headers, url)


def _require_https(url: str) -> None:
    if not url.startswith("https://"):
        raise LimnerError(f"{url} is not fetched; only https:// addresses are")
