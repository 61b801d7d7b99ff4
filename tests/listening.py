"""Real servers that hear what people are told, and the connections of Airflow's that lead to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@contextmanager
def site(pages: dict[str, str]) -> Iterator[str]:
    """The address of a web server with these pages of HTML, by their paths; every other one says its own path."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, self.path).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def posts(status: int = 200, refuses: str | None = None) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """A web server's port, and what was posted to it: path and JSON. What has ``refuses`` in it is no good to it."""
    heard: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            heard.append((self.path, json.loads(sent)))
            self.send_response(422 if refuses is not None and refuses in sent else status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        server.server_close()


def http(port: int, **more: str) -> str:
    """The connection to such a server."""
    return json.dumps({"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": port, **more})


def mail(port: int, **extra: object) -> str:
    """The connection to a mail server."""
    return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": {
        "disable_ssl": True, "disable_tls": True, "timeout": 5, "retry_limit": 1, **extra}})
