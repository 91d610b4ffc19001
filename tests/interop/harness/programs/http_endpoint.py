"""An HTTP/1.1 server that keeps connections and answers with its name, at `/head` with the request.

    http_endpoint.py PORT NAME

Quick enough for loads, which `python3 -m http.server` is not: it queues five connections.
"""

import asyncio
import sys


class Answer(asyncio.Protocol):
    """One connection. A request with a body, which is not looked at, is its last."""

    name = b""

    def connection_made(self, transport):
        self.transport = transport
        self.head = b""

    def data_received(self, data):
        self.head += data
        *requests, self.head = self.head.split(b"\r\n\r\n")
        for head in requests:
            self.answer(head if b" /head " in head[:100] else self.name)
            if b"\r\ncontent-length:" in head.lower() or b"\r\ntransfer-encoding:" in head.lower():
                return self.transport.close()

    def answer(self, body):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


async def main():
    Answer.name = sys.argv[2].encode()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answer, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
