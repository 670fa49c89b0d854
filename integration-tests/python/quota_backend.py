"""A backend over the Python package `websockets` that knows what it must get: texts of `quota_client.py`, in order, some
of them missing. Answers each with a text of its own kind that says how many have come. Wants compression with context
takeover, as the package does by itself.

    quota_backend.py [--ready-file PATH]
"""
import argparse
import asyncio
import json
import os

from websockets.asyncio.server import serve

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--ready-file", required=True)
FILLER = "what compresses well because it is always the same "


async def answer(socket):
    seen, last = 0, -1
    async for message in socket:
        number = int(message.split(" ", 1)[0])
        if message != f"{number} {FILLER * 20}" or number <= last:
            await socket.close(1011, f"after {last} came {message[:40]}")
            return
        seen, last = seen + 1, number
        await socket.send(f"{number} {seen} {FILLER * 20}")


async def main(ready_file):
    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with open(ready_file + ".writing", "w") as file:
            json.dump(f"ws://127.0.0.1:{port}", file)
        os.rename(ready_file + ".writing", ready_file)
        await server.serve_forever()


asyncio.run(main(ARGUMENTS.parse_args().ready_file))
