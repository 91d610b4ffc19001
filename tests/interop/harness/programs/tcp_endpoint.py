"""A TCP server that greets with its name and echoes until the other side ends.

    tcp_endpoint.py PORT NAME

The greeting is a line of its own.
"""

import asyncio
import sys


async def echo(reader, writer):
    try:
        writer.write(sys.argv[2].encode() + b"\n")
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
