"""An echo backend over the Python package `websockets`: sends back every message as it came, compression on offer.

    backend.py [--ready-file PATH]
"""
import argparse
import asyncio
import json
import os

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--ready-file", required=True)


async def echo(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except ConnectionClosed:
        pass


async def main(ready_file):
    async with serve(echo, "127.0.0.1", 0, max_size=2**26) as server:
        port = server.sockets[0].getsockname()[1]
        with open(ready_file + ".writing", "w") as file:
            json.dump(f"ws://127.0.0.1:{port}", file)
        os.rename(ready_file + ".writing", ready_file)
        await server.serve_forever()


asyncio.run(main(ARGUMENTS.parse_args().ready_file))
