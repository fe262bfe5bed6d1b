"""An S3 server in memory for tests. Prints its port, and ends when its standard input does, so that it never
outlives whoever started it."""

import logging
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

moto = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def app(environ, start_response):
    # moto looks at an object's tag and replaces the object in two steps. Without the lock another thread comes
    # between them, and updates are lost that a real S3 would refuse.
    with one_at_a_time:
        return list(moto(environ, start_response))


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.buffer.read()
