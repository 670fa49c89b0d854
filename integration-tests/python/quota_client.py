"""A compressing client over the Python package `websockets` whose messages, and whose answers, are dropped now and then.

    quota_client.py URL TOKEN COUNT PAUSE

Sends COUNT texts, PAUSE milliseconds apart, and expects of every answer that it is what `quota_backend.py` says to a
text that was sent, in order. Prints one line of JSON: what was agreed on compression, how many were sent, how many of
them the backend has seen, and how many answers came back.
"""
import argparse
import asyncio
import json

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("url")
ARGUMENTS.add_argument("token")
ARGUMENTS.add_argument("count", type=int)
ARGUMENTS.add_argument("pause", type=float)
FILLER = "what compresses well because it is always the same "


async def listen(socket, heard):
    last = -1
    try:
        async for message in socket:
            number, seen, rest = message.split(" ", 2)
            assert rest == FILLER * 20, f"not what was sent: {rest[:60]}"
            assert last < int(number), f"{number} came after {last}"
            last = int(number)
            heard.append(int(seen))
    except ConnectionClosed as closed:
        raise SystemExit(f"closed: {closed}")


async def main(arguments):
    headers = {"Authorization": f"Bearer {arguments.token}"}
    async with connect(arguments.url, additional_headers=headers, compression="deflate") as socket:
        agreed = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        heard = []
        listening = asyncio.create_task(listen(socket, heard))
        for number in range(arguments.count):
            await socket.send(f"{number} {FILLER * 20}")
            await asyncio.sleep(arguments.pause / 1000)
        # Everything before it was judged, and answered, when the pong is here.
        await asyncio.wait_for(await socket.ping(), 10)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        if listening.done() and not listening.cancelled() and listening.exception():
            raise listening.exception()
        result = {"agreed": agreed, "sent": arguments.count, "seen": max(heard), "heard": len(heard)}
        print(json.dumps(result))


asyncio.run(main(ARGUMENTS.parse_args()))
