"""Connections: how long a thread lets itself be blocked, and how a connection ends without losing the answer."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from prelisten.sockets import (
    HEAD_S,
    WINDOW_S,
    Lingerer,
    Pace,
    Patience,
    PatientSocket,
    TooSlow,
)

PHONE = 256_000 / 8  # Bytes per second of a slow phone's upload.
LIMITS = Patience(min_rate=8_000, longest_s=1_800)


def arrive(rate: float, n_bytes: int, *, every_s: float) -> Pace:
    """Let a body arrive at `rate` bytes per second, in pieces."""
    pace = Pace(LIMITS)
    piece = max(1, int(rate * every_s))
    for _ in range(0, n_bytes, piece):
        pace.count(piece, every_s)
    return pace


def test_a_slow_phone_passes():
    """Five megabytes at 256 kbit/s take almost three minutes, and are taken."""
    arrive(PHONE, 5_000_000, every_s=0.5)


def test_a_phone_in_a_tunnel_passes():
    """Fifteen seconds of silence within half a minute of a good connection are no reason to give up."""
    pace = Pace(LIMITS)
    for _ in range(4):
        pace.count(int(PHONE * 15), 15)
        pace.count(0, 15)


@pytest.mark.parametrize("every_s", [1.0, 19.0])
def test_a_byte_at_a_time_ends_within_a_window(every_s):
    """A sender that only wants to hold a thread is given up after half a minute, or a silence more."""
    pace = Pace(LIMITS)
    for _ in range(int(WINDOW_S / every_s)):
        pace.count(1, every_s - 0.001)
    with pytest.raises(TooSlow):
        pace.count(1, every_s)


def test_a_steady_sender_ends_at_the_longest_time():
    """No body holds a thread beyond the setting, however well it flows."""
    with pytest.raises(TooSlow):
        arrive(LIMITS.min_rate, int(LIMITS.min_rate * LIMITS.longest_s * 1.1), every_s=10)


def test_the_head_has_a_time_of_its_own():
    """A request's head comes at once, or never."""
    pace = Pace(Patience(0, HEAD_S))
    pace.count(1, HEAD_S - 1)
    with pytest.raises(TooSlow):
        pace.count(1, 2)


def test_our_own_time_does_not_count():
    """What the server does between two reads is not the sender's slowness."""
    ours, theirs = socket.socketpair()
    patient = PatientSocket(ours, Patience(min_rate=1e12, longest_s=0.5))
    for _ in range(3):
        theirs.sendall(b"x" * 100)
        time.sleep(0.3)
        assert patient.recv(100) == b"x" * 100
    patient.close()
    theirs.close()


def test_a_reader_of_a_file_gets_all_of_it(tmp_path):
    """Sending in pieces loses nothing, from any place and of any length."""
    content = bytes(range(256)) * 2_000
    path = tmp_path / "file"
    path.write_bytes(content)
    ours, theirs = socket.socketpair()
    patient, got = PatientSocket(ours, LIMITS), bytearray()

    def read() -> None:
        while block := theirs.recv(10_000):
            got.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    with path.open("rb") as file:
        assert patient.sendfile(file, 10, 300_000) == 300_000
        patient.sendall(b"end")
    patient.close()
    reader.join()
    theirs.close()
    assert bytes(got) == content[10:300_010] + b"end"


def test_lingering_lets_the_other_side_finish():
    """Who is still sending gets the answer whole, and no reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    server.sendall(b"answer")
    Lingerer().end(server)
    for _ in range(50):
        client.sendall(b"x" * 20_000)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b"answer"
    assert client.recv(100) == b""
    client.close()
