"""The decoding child: what it may not do, what happens when it misbehaves, and that it never outlives us."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from prelisten.config import load_config
from prelisten.errors import Cancelled, MediaError, StorageError
from prelisten.media import child
from prelisten.media import listen as listening
from prelisten.media.limits import DecodeLimits
from prelisten.media.listen import listen
from prelisten.media.protocol import HEADER as HEADER_KIND
from prelisten.media.protocol import pack_json
from prelisten.media.readers import UnreadableError, ffmpeg
from tests.recordings import speech_like, wav_bytes

HEADER = """
import os, sys, time
from prelisten.media.protocol import *
facts = dict(format="wav", codec="s16", sample_rate=16000, channels=1, total_s=2.0, claimed_s=None,
             encoder=None, isolation={})
def say(content):
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
"""
START_WELL = "say(pack_json(HEADER, facts)); say(pack_block(0, bytes(64000)))\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "voice.wav"
    made.write_bytes(wav_bytes(speech_like(2.0)))
    return made


@pytest.fixture
def imposter(monkeypatch: pytest.MonkeyPatch):
    """Let a script stand in for the child: a decoder that was taken over may say and do anything."""

    def replace(script: str) -> None:
        monkeypatch.setattr(listening, "CHILD", ("-c", HEADER + script))

    return replace


def code_of(path: Path, **settings) -> str | None:
    """Return the code of the failure, or of what cut the recording short."""
    try:
        with listen(path, load_config({}, **settings)) as recording:
            for _ in recording.blocks():
                pass
            return recording.cut_short
    except MediaError as error:
        return error.code


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("sys.exit(0)", "decoder_failed"),
        ("os.kill(os.getpid(), 11)", "decoder_failed"),
        ("os.kill(os.getpid(), 24)", "decode_timeout"),
        ("raise MemoryError", "out_of_memory"),
        ("say(b'nonsense' * 100)", "decoder_failed"),
        ("say(PREFIX.pack(BLOCK, 2**31))", "decoder_failed"),
        ("say(PREFIX.pack(HEADER, 2**31))", "decoder_failed"),
        ("say(pack_json(HEADER, {}))", "decoder_failed"),
        ("say(pack_json(HEADER, facts | {'sample_rate': 1}))", "decoder_failed"),
        ("say(pack_json(HEADER, facts | {'encoder': 'x' * 999}))", "decoder_failed"),
        ("say(pack_json(HEADER, facts | {'more': 1}))", "decoder_failed"),
        ("say(pack_json(FAILURE, {'code': 'rm -rf'}))", "decoder_failed"),
        ("say(pack_json(FAILURE, {'code': 'not_audio'}))", "not_audio"),
        (START_WELL + "say(pack_block(16000, bytes(3)))", "decoder_failed"),
        (START_WELL + "say(pack_json(END, {'damaged': -1}))", "decoder_failed"),
        (START_WELL + "sys.stderr.write('x' * 10**6); say(pack_json(END, {}))", None),
    ],
)
def test_whatever_the_child_says_has_a_code(script: str, code: str | None, path: Path, imposter) -> None:
    """Crashes, floods and lies of the child end in a code, never in an exception of another kind."""
    imposter(script)
    assert code_of(path) == code


def test_clock_before_the_first_sample_is_a_timeout(path: Path, imposter) -> None:
    """A decoder that says nothing is given up."""
    imposter("time.sleep(60)")
    assert code_of(path, decode_timeout_s=0.5) == "decode_timeout"


def test_clock_after_some_samples_leaves_what_was_heard(path: Path, imposter) -> None:
    """What came before the clock ran out is kept, and the cut is noted."""
    imposter(START_WELL + "time.sleep(60)")
    with listen(path, load_config({}, decode_timeout_s=1)) as recording:
        assert sum(samples.size for _, samples in recording.blocks()) == 16_000
    assert [note.params["code"] for note in recording.notes] == ["decode_timeout"]


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch):
    """Let seconds pass at once, as they would for a listener that is busy; real ones pass too."""
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed))
    monkeypatch.setattr(listening, "time", clock)
    return passed.append


def test_slow_listener_does_not_use_up_the_clock(path: Path, let_pass) -> None:
    """Only waiting for the decoder counts: detection on a busy machine must not look like a slow file."""
    n_samples = 0
    with listen(path, load_config({}, decode_timeout_s=30)) as recording:
        let_pass(40)
        for _, samples in recording.blocks():
            n_samples += samples.size
            let_pass(40)
    assert n_samples == 32_000
    assert recording.cut_short is None


def test_child_gets_no_secret_and_no_path(path: Path, imposter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither settings nor the file's place reach the process that reads hostile bytes."""
    monkeypatch.setenv("PRELISTEN_KEYS", "secret")
    imposter("say(pack_json(HEADER, facts | {'encoder': ' '.join([*os.environ, *sys.argv])[:190]}))")
    with listen(path) as recording:
        words = recording.facts.encoder
    assert "OPENBLAS_NUM_THREADS" in words
    assert "PRELISTEN" not in words
    assert path.name not in words


def test_cancelled_listening_ends_and_leaves_no_child(path: Path, imposter) -> None:
    """A worker that is told to stop does not wait for the clock."""
    imposter("time.sleep(60)")
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with pytest.raises(Cancelled), listen(path, cancelled=cancelled):
        pytest.fail("nothing can have been said")


def test_child_is_gone_when_listening_ends_early(path: Path, imposter) -> None:
    """Whoever stops in the middle leaves no process behind."""
    imposter("say(pack_json(HEADER, facts | {'encoder': str(os.getpid())}))\ntime.sleep(60)")
    with listen(path) as recording:
        number = int(recording.facts.encoder)
        os.kill(number, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_child_dies_with_its_parent(path: Path) -> None:
    """A worker that is killed leaves no decoder behind, even one that waits and does nothing."""
    script = (
        "import sys, time; from pathlib import Path; from prelisten.media import listen as l\n"
        f"with l.listen(Path({str(path)!r})) as recording:\n"
        "    print(recording._child._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    number = int(parent.stdout.readline())
    os.kill(number, signal.SIGSTOP)
    parent.kill()
    parent.communicate()
    for _ in range(100):
        if is_gone(number):
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def is_gone(number: int) -> bool:
    """Return whether the process has ended; nobody may have collected it yet."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_missing_file_is_a_matter_of_the_storage(tmp_path: Path) -> None:
    """A blob that is not there says nothing about the recording."""
    with pytest.raises(StorageError), listen(tmp_path / "nothing"):
        pass


def test_only_plain_files_are_listened_to(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for for ever, a device read for ever."""
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(StorageError), listen(name):
            pass


SANDBOX = """
import os, socket, sys, json
from prelisten.media.limits import DecodeLimits
from prelisten.media.sandbox import limit_resources, isolate
target = sys.argv[1]
limit_resources(DecodeLimits(memory_bytes=300_000_000))
said = isolate()
def works(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True
def write():
    with open(target, "wb", buffering=0) as file:
        file.write(b"x")
def connect():
    with socket.socket() as caller:
        caller.settimeout(2)
        caller.connect(("127.0.0.1", int(sys.argv[2])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def signals():
    os.kill(os.getppid(), 0)
print(json.dumps({**said, "read": works(lambda: open(target).close()), "list": works(lambda: os.listdir("/")),
    "signals": works(signals), "write": works(write), "connect": works(connect),
    "memory": works(lambda: bytearray(500_000_000)), "files": works(lambda: [os.dup(0) for _ in range(40)])}))
"""


def test_sandbox_takes_away_files_memory_and_network(tmp_path: Path) -> None:
    """No file grows, memory and open files are bounded, and no address answers."""
    target = tmp_path / "grown"
    target.touch(mode=0o666)
    tmp_path.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [sys.executable, "-c", SANDBOX, str(target), str(server.getsockname()[1])]
        result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    said = json.loads(result.stdout)
    assert [said["write"], said["memory"], said["files"]] == [False, False, False]
    assert said["connect"] is not said["has_no_network"]
    assert [said["read"], said["list"]] == [not said["has_no_files"]] * 2
    assert not (said["signals"] and said["has_no_files"] and os.geteuid() == 0)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (DecodeLimits(max_output_samples=1000), "too_long"),
        (DecodeLimits(max_rate_hz=8_000), "rate_out_of_range"),
        (DecodeLimits(max_channels=0), "too_many_channels"),
    ],
)
def test_limit_is_met_before_anything_is_decoded(limits: DecodeLimits, code: str, path: Path) -> None:
    """What a header predicts is refused without a single block."""
    out = BytesIO()
    with path.open("rb") as file, pytest.raises(UnreadableError, match=code):
        child.decode(file.fileno(), limits, {}, out)
    assert out.getvalue() == b""


@pytest.mark.parametrize("megabytes", [1, 40, 120, 180, 205])
def test_too_little_memory_is_a_limit(megabytes: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that gets no memory is a limit of ours, whatever words its libraries find for it, and no hang."""
    limits = DecodeLimits(memory_bytes=megabytes * 1_000_000)
    monkeypatch.setattr(DecodeLimits, "from_config", lambda _: limits)
    assert code_of(path) == "out_of_memory"


def test_nothing_is_imported_once_rights_are_given_up(tmp_path):
    """An environment that only its owner may read decodes like any other: every import comes before."""
    code = (
        "import av, sys\n"
        "from prelisten.media.sandbox import import_everything\n"
        "import_everything([av], ['latin-1'])\n"
        "import av.subtitles.stream, encodings.latin_1\n"
        "try:\n    import wave\n"
        "except ImportError:\n    print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "closed\n", done.stderr


def test_listening_ends_within_the_time_given(path: Path, let_pass) -> None:
    """Whoever has to answer by a certain time gets what was heard until then."""
    path.write_bytes(wav_bytes(speech_like(20.0)))
    with listen(path, within_s=60) as recording:
        for _ in recording.blocks():
            let_pass(24)
    assert recording.cut_short == "decode_timeout"
    assert 0 < recording.n_samples < 20 * 16_000


def test_numbers_that_are_none_do_not_reach_the_parent() -> None:
    """Python's JSON would write NaN, which no other reader takes."""
    with pytest.raises(ValueError, match="JSON compliant"):
        pack_json(HEADER_KIND, {"total_s": float("nan")})


def decoded(content: bytes, folder: Path) -> str:
    """Decode in this very process, without any of the child's isolation, and return how it ended."""
    path = folder / "named.wav"
    path.write_bytes(content)
    with path.open("rb") as file:
        try:
            child.decode(file.fileno(), DecodeLimits(), {}, BytesIO())
        except UnreadableError as error:
            return error.code
    return "decoded"


NAMING = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}a.ts\n#EXT-X-ENDLIST\n",
    "hls-file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{file}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{url}a.wav'\n",
    "concat-file": "ffconcat version 1.0\nfile '{file}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "rtsp-text": "rtsptextRTSP-URL={url}\n",
    "smil": "[playlist]\nFile1={url}a.wav\n",
}


@pytest.mark.parametrize("text", NAMING.values(), ids=NAMING)
def test_file_that_names_others_opens_none_of_them(text: str, tmp_path: Path, path: Path) -> None:
    """The list of formats alone stops playlists: nobody is called, and the server's own files stay closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        content = text.format(url=f"http://127.0.0.1:{port}/", file=path, port=port)
        assert decoded(content.encode(), tmp_path) == "not_audio"
        with pytest.raises(TimeoutError):
            server.accept()


def test_format_list_is_what_stops_a_playlist(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both lists open such a file is followed: the test above can fail."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ffmpeg, "FORMATS", f"{ffmpeg.FORMATS},concat")
    monkeypatch.setattr(ffmpeg, "PROTOCOLS", "file,concat")
    content = f"ffconcat version 1.0\nfile '{path.name}'\n"
    path.rename(other := tmp_path / "other.wav")
    assert decoded(content.replace(path.name, other.name).encode(), tmp_path) == "decoded"
