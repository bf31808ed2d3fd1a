"""A judge of this machine: a server that grades by a function of the prompt."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[str], str]


def fair(text: str) -> str:
    """10 for an answer that names the reference, else 0."""
    reference = text.split("<reference>\n")[1].split("\n")[0]
    answer = text.split("<answer>\n")[1].split("\n</answer>")[0]
    return json.dumps({"reason": "compared", "score": 10 * (reference in answer)})


@contextmanager
def judging(reply: Reply) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A judge's URL, and the requests that it has got."""
    bodies: list[dict[str, Any]] = []

    class Judge(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body)
            content = reply(body["messages"][-1]["content"])
            document = {"choices": [{"message": {"role": "assistant", "content": content}}]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
