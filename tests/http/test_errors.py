"""The table of error responses is complete."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import ErrorCode, InputError, RateLimited, RollcallError
from server.http import errors
from server.http.errors import RESPONSES, close_code
from server.rest.openapi import ERRORS

ROOT = Path(__file__).parents[2]
WORD = re.compile(r"[A-Z]{2,}(_[A-Z]+)*")
# Literals in capitals that are not error codes.
METHODS = {"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}
SIGNALS = {"SIGHUP", "SIGINT", "SIGTERM"}
SETTINGS = re.compile(r"(OTEL|TELEGRAM)_[A-Z_]+")
OTHERS = {
    "SELECT",
    "WITH",
    "WS",
    "DENY",
    "ID",
    "PERIOD",
    "REDACTED",
    "TCP_USER_TIMEOUT",
    "TOPIC_CLOSED",
    "UTC",
}


def subclasses(base: type[RollcallError]) -> Iterator[type[RollcallError]]:
    for found in base.__subclasses__():
        yield found
        yield from subclasses(found)


def instances(kind: type[RollcallError]) -> list[RollcallError]:
    """Return an error of this class, or one for each code that it can have."""
    if issubclass(kind, InputError):
        return [kind.at("field", "x", code) for code in ErrorCode]
    return [kind("x", 7) if issubclass(kind, RateLimited) else kind("x")]


ALL_ERRORS = [error for kind in subclasses(RollcallError) for error in instances(kind)]


def literals(path: Path) -> Iterator[str]:
    """Return all literals of a source file that could be error codes."""
    tree = ast.parse(path.read_text())
    exported = {node for part in tree.body if _is_all(part) for node in ast.walk(part)}
    for node in ast.walk(tree):
        if node not in exported and isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value
            if WORD.fullmatch(word) and not SETTINGS.fullmatch(word):
                yield word


def _is_all(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def codes_in_sources() -> set[str]:
    sources = [path for layer in ("server", "schema") for path in (ROOT / layer).rglob("*.py")]
    found = {word for path in sources if path != Path(errors.__file__) for word in literals(path)}
    return found - METHODS - SIGNALS - OTHERS


def test_every_error_class_has_a_response() -> None:
    assert {"RATE_LIMITED", "CUT_OFF", "OVERLOADED"} <= {error.code for error in ALL_ERRORS}
    assert [error for error in ALL_ERRORS if error.code not in RESPONSES] == []
    assert set(ErrorCode) <= set(RESPONSES)


def test_response_codes_match_codes_in_sources() -> None:
    found = codes_in_sources()
    assert {"BAD_DOCUMENT", "OVER_LIMIT", "RESTARTING", "INTERNAL"} <= found
    assert found - set(RESPONSES) == set()
    assert set(RESPONSES) - found - {error.code for error in ALL_ERRORS} == set()


@pytest.mark.parametrize("code", RESPONSES)
def test_every_code_is_documented(code: str) -> None:
    text = (ROOT / "docs/api.md").read_text()
    assert f"`{code}`" in text
    response = RESPONSES[code]
    if response.close_code:
        assert str(response.close_code) in text
    if code not in ("RESTARTING", "CUT_OFF", "INTERNAL") and response.status != 200:
        assert str(response.status) in ERRORS


def test_retry_after_only_for_transient_errors() -> None:
    for error in ALL_ERRORS:
        response, seconds = RESPONSES[error.code], error.retry_after_seconds
        assert response.retry_after == (seconds is not None), error.code
        headers = {**response.headers, **({"Retry-After": str(seconds)} if seconds else {})}
        assert response.headers_for(error) == headers


def test_statuses_and_close_codes_are_valid() -> None:
    for response in RESPONSES.values():
        assert response.status in range(200, 600)
        assert response.json_status in (None, 200)
        assert response.close_code in (None, 1012, 1013, *range(4400, 4500))


def test_close_code_raises_for_errors_without_one() -> None:
    assert close_code("UNAUTHENTICATED") == 4401
    with pytest.raises(ValueError, match="FORBIDDEN"):
        close_code("FORBIDDEN")
