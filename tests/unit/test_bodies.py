from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import create_environ, run_wsgi_app

from app.bodies import KnownLength

LIMIT = 200_000


class Stream(io.BytesIO):
    """Hands out bodies as granian does: a negative size is an error, and a read may be short."""

    def read(self, size: int | None = None) -> bytes:
        if size is not None and size < 0:
            raise OverflowError("can't convert negative int to unsigned")
        return super().read(None if size is None else min(size, 10_000))


def echo() -> Flask:
    application = Flask("echo")
    application.config["MAX_CONTENT_LENGTH"] = LIMIT
    application.add_url_rule(
        "/", view_func=lambda: request.get_data(), methods=["GET", "POST"], endpoint="echo"
    )
    return application


def ask(body: bytes, **environ: Any) -> tuple[int, bytes]:
    """Return the answer to a request as granian hands it over."""
    base = create_environ(method="POST")
    base.pop("CONTENT_LENGTH", None)
    base |= {"wsgi.input": Stream(body), "wsgi.input_terminated": True, **environ}
    answer, status, _ = run_wsgi_app(KnownLength(echo(), LIMIT), base)
    return int(status.split()[0]), b"".join(answer)


IN_CHUNKS = {"HTTP_TRANSFER_ENCODING": "chunked"}
HTTP_2 = {"SERVER_PROTOCOL": "HTTP/2.0"}


@pytest.mark.parametrize("announced", [IN_CHUNKS, HTTP_2], ids=["chunks", "http2"])
@pytest.mark.parametrize("size", [0, 1, 65_536, LIMIT])
def test_a_body_without_a_length_arrives_whole(announced: dict[str, str], size: int) -> None:
    assert ask(b"x" * size, **announced) == (200, b"x" * size)


@pytest.mark.parametrize("announced", [IN_CHUNKS, HTTP_2], ids=["chunks", "http2"])
def test_a_body_without_a_length_over_the_limit_is_refused(announced: dict[str, str]) -> None:
    assert ask(b"x" * (LIMIT + 1), **announced)[0] == 413
    assert ask(b"x" * (LIMIT * 5), **announced)[0] == 413


@pytest.mark.parametrize("size", [0, 1, 65_536, LIMIT])
def test_a_body_with_a_length_arrives_whole(size: int) -> None:
    assert ask(b"x" * size, CONTENT_LENGTH=str(size)) == (200, b"x" * size)


def test_a_body_with_a_length_over_the_limit_is_refused() -> None:
    assert ask(b"", CONTENT_LENGTH=str(LIMIT + 1))[0] == 413


def test_a_body_that_ends_before_its_length_is_refused() -> None:
    assert ask(b"x" * 99, CONTENT_LENGTH="100")[0] == 400


def test_a_request_without_a_body_reads_nothing() -> None:
    assert ask(b"the next request", REQUEST_METHOD="GET") == (200, b"")
