# Gathers ICE candidates with aioice against one STUN server, and prints the server-reflexive ones, an address and port a line.
# Usage: aioice-gather.py ADDRESS PORT

import asyncio
import sys

import aioice


async def main() -> None:
    connection = aioice.Connection(ice_controlling=True, stun_server=(sys.argv[1], int(sys.argv[2])))
    await connection.gather_candidates()
    for candidate in connection.local_candidates:
        if candidate.type == "srflx":
            print(candidate.host, candidate.port)
    await connection.close()


asyncio.run(main())
