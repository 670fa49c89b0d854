"""A client over the Python package `websockets`: sends messages of every kind and expects each back.

    client.py URL TOKEN [--in-query]

Prints one line for each kind that came back as it was sent, and ends with status 0 only if all did.
"""
import argparse
import asyncio
import os

from websockets.asyncio.client import connect

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("url")
ARGUMENTS.add_argument("token")
ARGUMENTS.add_argument("--in-query", action="store_true", help="send the token as ?access_token=")
BIG = 16 << 20


def open_session(arguments, **options):
    url, headers = arguments.url, {"Authorization": f"Bearer {arguments.token}"}
    if arguments.in_query:
        url, headers = f"{url}?access_token={arguments.token}", {}
    return connect(url, additional_headers=headers, max_size=2**26, open_timeout=20, **options)


def extensions(socket):
    return socket.response.headers.get("Sec-WebSocket-Extensions", "")


async def expect(socket, sent, whole, kind):
    await socket.send(sent)
    got = await asyncio.wait_for(socket.recv(), 30)
    assert got == whole and type(got) is type(whole), f"{kind}: {len(got)} of {len(whole)} came back"
    print(kind)


async def main(arguments):
    async with open_session(arguments, compression=None) as socket:
        assert not extensions(socket), "an extension was agreed that nobody offered"
        await expect(socket, "Grüße", "Grüße", "text")
        await expect(socket, "", "", "empty text")
        await expect(socket, bytes(range(256)), bytes(range(256)), "binary")
        await expect(socket, ["a", "b", "c"], "abc", "fragmented text")
        await expect(socket, [b"a" * 70000, b"", b"c"], b"a" * 70000 + b"c", "fragmented binary")
        big = os.urandom(BIG)
        await expect(socket, big, big, "16 MiB")
        waiter = await socket.ping(b"are you there")
        await asyncio.wait_for(waiter, 10)
        print("ping")
    async with open_session(arguments, compression="deflate") as socket:
        assert "permessage-deflate" in extensions(socket), "compression was not agreed end to end"
        print("permessage-deflate agreed")
        text = "compress me " * 10000
        await expect(socket, text, text, "compressed text")
        await expect(socket, text, text, "compressed text again, with the window kept")
        big = b"0123456789abcdef" * (BIG // 16)
        await expect(socket, big, big, "16 MiB compressed")
    print("closed")


asyncio.run(main(ARGUMENTS.parse_args()))
