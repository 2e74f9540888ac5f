"""Runs localstripe behind its front, on this machine's loopback interface only.

Prints its URL once it listens. With `--state` what it knows outlives it, however it ends: the file is read at the start
and written after each change, before the response.
"""

import argparse
import asyncio
import pickle
import socket
from pathlib import Path

from aiohttp import web
from localstripe import resources
from localstripe import server as localstripe

from tools.stripe.front import Front, Handler


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.stripe")
    parser.add_argument("--port", type=int, default=0, help="0 takes one that is free")
    parser.add_argument("--api-key", default="sk_test_local", help="the only secret key that is taken")
    parser.add_argument("--state", type=Path, help="a file that keeps what it knows")
    chosen = parser.parse_args()

    # It writes all that it knows into a file of everybody's, each time that it learns something.
    resources.Store.dump_to_disk = lambda self: None
    front = Front(chosen.api_key)
    front.install(localstripe.app)
    if chosen.state:
        _keep(chosen.state, front)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", chosen.port))
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(
        localstripe.app,
        sock=listener,
        print=lambda *_: None,
        access_log=None,
        loop=asyncio.new_event_loop(),
        shutdown_timeout=1,
    )


def _keep(file: Path, front: Front) -> None:
    if file.exists():
        known, of_front = pickle.loads(file.read_bytes())
        resources.store.update(known)
        front.restore(of_front)

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            if request.method != "GET":
                unfinished = file.with_suffix(".unfinished")
                unfinished.write_bytes(pickle.dumps((dict(resources.store), front.state())))
                unfinished.replace(file)

    localstripe.app.middlewares.insert(0, keep)


if __name__ == "__main__":
    main()
