"""A worker process that is sent fuzzed requests: whatever comes, it answers as docs/gateways.md says."""

from __future__ import annotations

import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import psutil
from fuzzed_requests import ALLOWED, Fuzzer, Known, Request

_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "gateways.md"
_FAILURES_TOLD: Final = 20
_WARM_UP_PART: Final = 20
_WARM_UP_AT_LEAST: Final = 3000
"""Memory is measured first after one request in so many, and not before so many."""
OUT_OF_TIME: Final = "store_unavailable"
# RFC 9110 §5.5, without what is obsolete.
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e]+([ \t]+[\x21-\x7e]+)*|")


def documented() -> dict[str, int]:
    """Return the status of each code of a denial, as the document has it."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", _DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {ALLOWED: 200, **{code: int(status) for code, status in rows}}


def fuzz(fuzzer: Fuzzer, count: int, key_ids: dict[str, str]) -> dict[str, Any]:
    """Send many requests to the application as a worker process serves it, and say what they came to.

    Memory is in bytes, after the first of them and at the end.
    """
    from app.worker import load

    application, statuses = load(), documented()
    answers: Counter[str] = Counter()
    failures: list[str] = []
    own = psutil.Process()
    warm_up = max(_WARM_UP_AT_LEAST, count // _WARM_UP_PART)
    memory = 0
    for number in range(warm_up + count):
        if number == warm_up:
            memory = own.memory_info().rss
        request = fuzzer.request()
        code, wrong = _answered(application, request, statuses, key_ids)
        answers[code] += 1
        if wrong and len(failures) < _FAILURES_TOLD:
            failures.append(f"{code}: {wrong}: {request!r}")
    return {"answers": answers, "failures": failures, "memory": [memory, own.memory_info().rss]}


def _answered(
    application: Callable[..., Iterable[bytes]],
    request: Request,
    statuses: dict[str, int],
    key_ids: dict[str, str],
) -> tuple[str, str]:
    """Return the code of the answer, and what is wrong with it."""
    told: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.append((status, headers))

    body = application(_environ(request), start_response)
    content = b"".join(body)
    if (close := getattr(body, "close", None)) is not None:
        close()
    ((status, pairs),) = told
    headers = dict(pairs)
    code = ALLOWED if status == "200 OK" else headers.get("X-Auth-Reason", f"none, {status}")
    if code == OUT_OF_TIME and int(status[:3]) == statuses[code]:
        # Where other programs take the processors, the database may miss the gate's patience of it.
        return code, ""
    if code not in request.expected:
        return code, f"expected one of {sorted(request.expected)}"
    if int(status[:3]) != statuses[code]:
        return code, f"status {status}"
    if len(headers) != len(pairs) or not all(map(_FIELD_VALUE.fullmatch, headers.values())):
        return code, f"headers {headers}"
    if code == ALLOWED and (request.shown is None or headers["X-Auth-Key-Id"] != key_ids[request.shown]):
        return code, "another key"
    if request.method == "HEAD":
        return code, "" if content == b"" else "a body"
    if int(headers["Content-Length"]) != len(content):
        return code, "another length"
    return code, "" if code == ALLOWED or f'"reason": "{code}"'.encode() in content else "another body"


def _environ(request: Request) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8470",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **request.headers,
    }
    if request.body:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ


if __name__ == "__main__":
    # In a process of its own, which is a worker like any other, and whose memory is its own. It is told the
    # secrets on its standard input.
    asked = json.load(sys.stdin)
    known = Known(
        asked["gates"],
        {key: (tenant, outcome) for key, (tenant, outcome, _) in asked["keys"].items()},
        tuple(asked["others"]),
    )
    ids = {key: key_id for key, (_, _, key_id) in asked["keys"].items()}
    print(json.dumps(fuzz(Fuzzer(asked["seed"], known), asked["count"], ids)))
