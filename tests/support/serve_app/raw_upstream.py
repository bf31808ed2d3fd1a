"""A client of one remote candidate, and servers that answer with bytes of a test's choosing."""

import asyncio
import json
from contextlib import asynccontextmanager

from modelsat.zoo.engines.openai import OpenAICandidate
from serve_app.candidates.clients import open_session
from serve_app.candidates.engines.openai import UrlClient

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "how tall is a giraffe"}]}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


def candidate(url, **fields):
    return OpenAICandidate(
        name="org/giraffe", engine="openai", base_url=url, model="m-1", context_window=8, **fields
    )


@asynccontextmanager
async def client_of(url, **fields):
    async with open_session(max_connections=8, connect_timeout_s=5) as session:
        yield UrlClient(candidate(url, **fields), session)


@asynccontextmanager
async def raw_server(*pieces, hold=False, heads=None):
    """A server that answers every request with these bytes, each a write of its own."""
    over = asyncio.Event()

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hold:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        over.set()
        server.close()


def events(*documents, end=b"\n\n", done=True):
    """A response that streams these, its head included."""
    lines = [json.dumps(document).encode() for document in documents]
    body = b"".join(b"data: " + line + end for line in [*lines, *[b"[DONE]"] * done])
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body


def chunk(content="x", reason=None):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason}
    return {"model": "m-1", "choices": [choice]}


async def ask(url, body=CHAT, endpoint="chat", *, timeout_s=5, **fields):
    """Status, body in parts, and what was read of it."""
    async with client_of(url, **fields) as client:
        answer = await client.open(endpoint, body, timeout_s=timeout_s)
        return answer.status, [part async for part in answer.parts], answer.facts
