"""The page server of the ingest benchmark: a process of its own that prepares every answer before it says where it listens.

Not here: who reads the pages (ingest.py and ingest_sides.py).
An answer is one `sendall` of bytes that were ready, so that what is measured is the reader.
"""

from __future__ import annotations

import socket
import sys
import threading
from datetime import UTC, datetime, timedelta

NEWEST = datetime(2026, 1, 15, 12, tzinfo=UTC)
DAYS = 28
TEXTS = (
    "Terima kasih @sahabat_%d, semoga berkah",
    "Kegiatan hari ini bersama warga %d",
    "Laporan bulan ini terbit, nomor %d",
)
NO_SUCH_PAGE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


def record(number: int, changed_after: int) -> str:
    """One record as JSON of about 215 bytes, two levels deep with a list; from `changed_after` on, a counter has moved on."""
    at = NEWEST - timedelta(seconds=number * DAYS * 86_400 // 1_000_000)
    likes = number * 7 % 1009 + (number >= changed_after)
    text = TEXTS[number % 3] % (number % 5000)
    return (
        f'{{"id":"{1_900_000_000_000_000_000 + number}","created_at":"{at:%Y-%m-%dT%H:%M:%SZ}","lang":"in","author":{{"id":"{number % 4001}",'
        f'"username":"u{number % 4001}"}},"counts":{{"like":{likes},"reply":{number % 13}}},"text":"{text}","tags":["zakat","t{number % 50}"]}}'
    )


def prepare(records: int, page_size: int, changed_after: int) -> list[bytes]:
    """Every page as the bytes that go over the wire."""
    pages = []
    for at in range(0, records, page_size):
        stop = min(at + page_size, records)
        following = f'"next_token":"{stop // page_size}"' if stop < records else ""
        joined = ",".join(record(number, changed_after) for number in range(at, stop))
        body = f'{{"data":[{joined}],"meta":{{"result_count":{stop - at}{"," if following else ""}{following}}}}}'.encode()
        pages.append(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    return pages


def page_of(request: bytes) -> int:
    """The page that a request names: `GET /records?...pagination_token=<number>...`; without a token the first."""
    _, found, rest = request.partition(b"\r\n")[0].partition(b"pagination_token=")
    return int(rest.split(b" ")[0].split(b"&")[0]) if found else 0


def answer(connection: socket.socket, pages: list[bytes]) -> None:
    """Serve one connection until the other side closes it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    heard = b""
    with connection:
        while chunk := connection.recv(65_536):
            heard += chunk
            while b"\r\n\r\n" in heard:
                request, _, heard = heard.partition(b"\r\n\r\n")
                page = page_of(request)
                connection.sendall(pages[page] if page < len(pages) else NO_SUCH_PAGE)


def serve(records: int, page_size: int, changed_after: int) -> None:
    """Prepare, then say the port in one line, then serve until this process is ended."""
    pages = prepare(records, page_size, changed_after)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]} {sum(map(len, pages))}\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, pages), daemon=True).start()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
