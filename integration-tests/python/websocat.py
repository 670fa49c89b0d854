"""As much of `websocat` as the documents use: lines from stdin go out as messages, messages come back as lines.

    websocat.py [-H='Name: value']... [-k] [-n] [-1] URL

As with the real one, a `-H` without `=` takes every word that follows, the address too.

A gateway that was told of an API a moment ago may not have it yet; a person would not be as fast, so a refusal is tried
again for a few seconds.
"""
import argparse
import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("-H", "--header", action="extend", nargs="+", default=[])
ARGUMENTS.add_argument("-k", "--insecure", action="store_true")
ARGUMENTS.add_argument("-1", "--one-message", action="store_true")
ARGUMENTS.add_argument("-n", "--no-close", action="store_true")
ARGUMENTS.add_argument("url")


async def main(arguments):
    headers = dict(header.split(": ", 1) for header in arguments.header)
    options = {}
    if arguments.url.startswith("wss://"):
        options["ssl"] = ssl._create_unverified_context() if arguments.insecure else True
    for attempt in range(50):
        try:
            session = await connect(arguments.url, additional_headers=headers, **options)
            break
        except InvalidStatus:
            if attempt == 49:
                raise
            await asyncio.sleep(0.1)
    async with session as socket:
        for line in sys.stdin.read().splitlines():
            await socket.send(line)
            print(await asyncio.wait_for(socket.recv(), 10))


asyncio.run(main(ARGUMENTS.parse_args()))
