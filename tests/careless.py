"""As much of an S3 server as a proof of put-if-absent and a probe need, whose promises a test decides."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Careless(BaseHTTPRequestHandler):
    """Keeps files in a dictionary and its promises not at all.

    What it does with a put is the server's ``put(absent: bool) -> status``; on 200 the content is kept.
    """

    protocol_version = "HTTP/1.1"
    server: Any

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.headers.get("If-None-Match"))
        status = self.server.put(self.path not in self.server.kept)
        if status == 200:
            self.server.kept[self.path] = content
        self._answer(status)

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.path in self.server.kept:
            self._answer(200, self.server.kept[self.path])
        elif "list-type" in asked.query:
            below = f"{asked.path}/{parse_qs(asked.query).get('prefix', [''])[0]}"
            found = [key.removeprefix(f"{asked.path}/") for key in self.server.kept if key.startswith(below)]
            self._answer(200, ("<ListBucketResult>" + "".join(
                f"<Contents><Key>{key}</Key><Size>0</Size></Contents>" for key in found)
                + "</ListBucketResult>").encode())
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        bucket = self.path.count("/") == 1
        self._answer(200 if bucket or self.path in self.server.kept else 404)

    def do_POST(self) -> None:
        """Several are deleted at once."""
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        for key in re.findall("<Key>(.*?)</Key>", content):
            self.server.kept.pop(f"{urlsplit(self.path).path}/{key}", None)
        self._answer(200, b"<DeleteResult></DeleteResult>")

    def do_DELETE(self) -> None:
        self.server.kept.pop(self.path, None)
        self._answer(204)

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass
