"""Serves one page on 127.0.0.1, for a browser at the other end of an SSH tunnel."""

import contextlib
import io
import re
import shutil
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aelab.errors import AelabError

ADDRESS = "127.0.0.1"
PATHS = ("/", "/explorer.html")
#: Other hosts are refused, because another site's name may resolve to 127.0.0.1 (DNS rebinding).
#: Any port is accepted, because a tunnel may start at another port.
HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", re.IGNORECASE)
IDLE_SECONDS = 30.0  # a connection without traffic for so long is closed


def make_server(page: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of ``page``; raises AelabError if the page cannot be read or the port is in use."""
    try:
        content = page.read_bytes()
    except OSError as error:
        raise AelabError(f"{page} cannot be read: {error.strerror}.") from None

    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client may disconnect at any moment
                super().handle()

        def do_GET(self) -> None:
            self._answer(with_content=True)

        def do_HEAD(self) -> None:
            self._answer(with_content=False)

        def _answer(self, with_content: bool) -> None:
            hosts = self.headers.get_all("Host", [])
            if len(hosts) != 1 or not HOST.fullmatch(hosts[0].strip()):
                self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            elif self.path not in PATHS:
                self.send_error(HTTPStatus.NOT_FOUND)
            else:
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
                self.send_header("X-Content-Type-Options", "nosniff")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                if with_content:
                    # In blocks, so that the timeout applies to each block.
                    shutil.copyfileobj(io.BytesIO(content), self.wfile)

        def version_string(self) -> str:
            return "aelab"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise AelabError(
            f"Cannot serve on port {port}: {error.strerror}; name another --port."
        ) from None


def serve(page: Path, port: int, report: Callable[[str], None]) -> None:
    """Serve ``page`` until interrupted; ``report`` gets the address."""
    with make_server(page, port) as server:
        report(f"http://{ADDRESS}:{server.server_port}/ (until Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            report("Done.")
