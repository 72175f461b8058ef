"""Generates requests and frames from a seed; most of them are broken."""

import json
import random
import re
from typing import Any
from urllib.parse import quote

from schema.build import schema_text

NAMES = sorted(set(re.findall(r"[A-Za-z_]\w*", schema_text())))
TOKENS = ["{", "}", "(", ")", ":", "[", "]", "!", "...", "@", "$", "=", "|", '"', '"""', "#", "\n"]
VALUES: list[Any] = [
    None, True, 0, -1, 1e400, 2**63, 10**400, "", "x" * 5_000, "\0", "\ud800", "🛸", [], {}, [[]],
    {"a": {"b": [1]}}, "24:6f:28:aa:bb:cc", "ec42179b76a53de03a9ace42975a4fc6",
]  # fmt: skip
DOCUMENTS = [
    "{ devices { totalCount nodes { id owner config { version } topics { listen } } } }",
    """query Q($f: DeviceFilter, $n: Int = 3) { devices(filter: $f, first: $n, after: "x")
    { edges { cursor node { appliedConfig { qos } configHistory(first: 2) { version } } } } }""",
    """mutation R($input: RegisterDeviceInput!) { registerDevice(input: $input)
    { outcome token device { id } errors { code field message } } }""",
    "mutation U($input: UpdateConfigInput!) { updateConfig(input: $input) { errors { field } } }",
    "mutation T($input: CreateTokenInput!) { createToken(input: $input) { errors { field } } }",
    "subscription S($after: ID) { configChanged(after: $after) { cursor device { id } } }",
    "{ __schema { types { name fields { name type { ofType { name } } } } } }",
    "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a me { id } }",
]
INPUT = {
    "mac": "24:6f:28:00:00:01", "owner": "Acme", "location": {"place": "Paris"}, "qos": 1,
    "measurementType": "t", "deviceId": "ec42179b76a53de03a9ace42975a4fc6", "kind": "VIEWER",
}  # fmt: skip


class Fuzzer:
    """One instance for each request or connection, with its own seed."""

    def __init__(self, seed: int, token: str) -> None:
        self.random = random.Random(seed)
        self.token = token

    def document(self) -> str:
        choose = self.random
        if choose.random() < 0.2:
            return " ".join(choose.choices(NAMES + TOKENS, k=choose.randrange(1, 60)))
        words = re.findall(r"\w+|\W", choose.choice(DOCUMENTS))
        for _ in range(choose.randrange(4)):
            at = choose.randrange(len(words))
            match choose.randrange(4):
                case 0:
                    words[at] = choose.choice(NAMES)
                case 1:
                    words[at] = choose.choice(TOKENS)
                case 2:
                    words[at:at] = words[at : at + choose.randrange(20)] * choose.randrange(1, 30)
                case _:
                    del words[at]
        return "".join(words)

    def parameters(self) -> Any:
        choose = self.random
        if choose.random() < 0.05:
            return choose.choice(VALUES)
        input = {key: value for key, value in INPUT.items() if choose.random() < 0.8}
        for key in input:
            if choose.random() < 0.1:
                input[key] = choose.choice(VALUES)
        values = {"input": input, "f": input, "n": 3, "after": choose.choice(["0", "x", None])}
        parameters: dict[str, Any] = {"query": self.document(), "variables": values}
        for key in ("query", "variables", "operationName", "extensions"):
            if choose.random() < 0.04:
                parameters[key] = choose.choice(VALUES)
        return parameters

    def bytes_of(self, value: Any) -> bytes:
        """Encode as JSON, which is then broken in a quarter of the cases."""
        choose = self.random
        data = bytearray(json.dumps(value).encode())
        if choose.random() < 0.25:
            for _ in range(choose.randrange(1, 6)):
                at = choose.randrange(len(data) + 1)
                match choose.randrange(4):
                    case 0:
                        data[at : at + 1] = bytes([choose.randrange(256)])
                    case 1:
                        del data[at : at + choose.randrange(40)]
                    case 2:
                        data[at:at] = choose.choice([b"[", b"{", b"\xff", b"\0"]) * 10_000
                    case _:
                        data = data[:at]
        return bytes(data)

    def request(self, host: str) -> bytes:
        """One HTTP request: head and body."""
        choose = self.random
        method = choose.choices(
            ["POST", "GET", "PUT", "OPTIONS", "HEAD", "\xff"], [80, 12, 2, 2, 2, 1]
        )[0]
        path, body = "/graphql", b""
        if method == "GET":
            parameters = self.parameters()
            pairs = parameters.items() if isinstance(parameters, dict) else [("query", parameters)]
            path += "?" + "&".join(
                f"{key}={quote(_text(value), errors='replace')}" for key, value in pairs
            )
        else:
            body = self.bytes_of(self.parameters())
        path = choose.choices(
            [path, "/", "/graphiql", "/metrics", "/" + "%ff" * 9], [94, 2, 2, 1, 1]
        )[0]
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        head += self._headers()
        length = len(body)
        if choose.random() < 0.02:
            length = choose.choice([0, length // 2, 10**12])
        if choose.random() < 0.05:
            head.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            head.append(f"Content-Length: {length}")
        return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + body

    def _headers(self) -> list[str]:
        choose = self.random
        token = choose.choices([self.token, "rca_none", "", "\xff", None], [85, 3, 3, 3, 6])[0]
        content = choose.choices(
            ["application/json", "application/json; charset=latin-1", "text/plain", "\xff", None],
            [90, 3, 3, 2, 2],
        )[0]
        accept = choose.choices(
            [
                "application/json",
                "application/graphql-response+json",
                "text/event-stream",
                "a/b;q=\xff",
                None,
            ],
            [40, 40, 10, 5, 5],
        )[0]
        headers = {"Authorization": token and f"Bearer {token}", "Content-Type": content}
        headers |= {
            "Accept": accept,
            "Content-Encoding": choose.choices(["gzip", None], [1, 50])[0],
        }
        headers["X-Request-Id"] = choose.choices(["\xff" * 99, None], [1, 20])[0]
        headers["Origin"] = choose.choices(["http://evil.example", None], [1, 20])[0]
        return [f"{name}: {value}" for name, value in headers.items() if value is not None]

    def frame(self) -> bytes | str:
        choose = self.random
        kinds = ["subscribe", "complete", "ping", "pong", "connection_init", "next", "x", 1, None]
        message: Any = {
            "type": choose.choices(kinds, [60, 10, 5, 5, 3, 2, 2, 1, 1])[0],
            "id": choose.choices(["1", "2", "3", "", "x" * 999, 1, None], [9, 9, 9, 1, 1, 1, 1])[0],
            "payload": self.parameters(),
        }
        if choose.random() < 0.05:
            del message[choose.choice(sorted(message))]
        data = self.bytes_of(message)
        return data if choose.random() < 0.03 else data.decode(errors="replace")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
