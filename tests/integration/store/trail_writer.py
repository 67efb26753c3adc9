"""A process that writes as fast as it can and says on stdout which entries were acknowledged, until it is killed."""

import asyncio
import os
import sys
from pathlib import Path

from app.store.trail import FileTrail
from app.store.trail_key import load_key


async def main(directory: Path, key: Path, marker: str) -> None:
    trail = await FileTrail.open(directory, origin="douane.example/log", key=load_key(key))
    os.write(1, f"open {trail.origin}\n".encode())

    async def client(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            index = trail.next_index()
            text = f"{marker}-{number}-{turn}"
            await trail.append({"v": 1, "index_promised": index, "text": text, "padding": "x" * (number * 37)})
            os.write(1, f"{index} {text}\n".encode())

    await asyncio.gather(*(client(number) for number in range(16)))


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
