"""One page on 127.0.0.1, for a browser at the other end of a tunnel, and nothing else."""

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
#: The only hosts that are answered: a page of another site may resolve its own name to 127.0.0.1.
#: The port is any one, as a tunnel may begin at another.
HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?", re.IGNORECASE)
IDLE_SECONDS = 30.0  # without a byte from or to a client, after which the connection is closed


def make_server(page: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server that gives ``page``; raises AelabError if it cannot read or cannot listen."""
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
                    # In blocks, so that the timeout is of a block and not of the whole page.
                    shutil.copyfileobj(io.BytesIO(content), self.wfile)

        def version_string(self) -> str:
            return "aelab"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the terminal belongs to the person."""

    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise AelabError(
            f"Cannot serve on port {port}: {error.strerror}; name another --port."
        ) from None


def serve(page: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve ``page`` until interrupted; ``say`` is told the address."""
    with make_server(page, port) as server:
        say(f"http://{ADDRESS}:{server.server_port}/ (until Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Done.")
