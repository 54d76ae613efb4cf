"""Remembers that somebody asked a run to end: Ctrl-C, or SIGTERM from the system. Both end it in the same order.

Not here: what ending in order means (each step lands or rolls back what it does), and the exit codes (exits.py).
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Signals:
    """Which of the two came first while `watching`."""

    def __init__(self, receiver: socket.socket | None) -> None:
        self._receiver = receiver
        self._first: signal.Signals | None = None

    @property
    def first(self) -> signal.Signals | None:
        """The signal that asked the run to end, None as long as none did."""
        if self._first is None and self._receiver is not None:
            try:
                came = self._receiver.recv(64)
            except BlockingIOError:
                came = b""
            self._first = next((signal.Signals(number) for number in came if number in {signal.SIGINT, signal.SIGTERM}), None)
        return self._first


@contextmanager
def watching() -> Iterator[Signals]:
    """Note both signals, whoever handles them, and let SIGTERM interrupt as Ctrl-C does.

    Dagster puts handlers of its own in place while a run goes on, and they do not tell the two apart; the interpreter's wake-up does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Signals(None)
        return
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.settimeout(0)
        sender.settimeout(0)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        interrupt, terminate = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield Signals(receiver)
        finally:
            signal.set_wakeup_fd(before)
            signal.signal(signal.SIGINT, interrupt)
            signal.signal(signal.SIGTERM, terminate)
