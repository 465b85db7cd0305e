"""Measure the server: from upload to decision at a stated load, where the time goes, and what an upload costs.

    .venv/bin/python -m tests.bench.bench_server [--uploads N] [--rate PER_SECOND] [--workers N] [--json FILE]

1. Clips of 30 s are made from seeds, in every format of `tests.recordings.FORMATS`.
2. The same files are decoded to 16 kHz mono by FFmpeg alone: PyAV in this process, and the `ffmpeg` command where
   there is one. That is the least that any server would have to do.
3. The real server (`prelisten serve`, a process of its own, with its own screening processes) gets them over HTTP:
   first one at a time, then `--rate` a second whether or not earlier ones are answered. The clock runs from the
   first byte sent to the answer with the decision.
4. The server's own metrics say where the time went.
5. One upload of 50 MB shows what memory it adds to the web process, to the screening process and to its decoder: the
   kernel's own high-water mark, set back just before.

Figures hold for this machine and this run; whatever else runs on it is in them.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np

from tests.browser.conftest import Server, start_server
from tests.recordings import FORMATS, speech_like, wav_bytes

CLIP_S, RATE = 30.0, 44_100
LARGE_BYTES = 50_000_000
BOUNDARY = "prelisten-bench"
STAGE = re.compile(r'^prelisten_stage_seconds_(sum|count)\{stage="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What one upload got: seconds to the answer, HTTP status, and the decision where there is one."""

    seconds: float
    status: int
    decision: str | None


def make_clips(folder: Path, n_seeds: int) -> list[Path]:
    """Write clips in every format, as many of each as there are seeds."""
    made = []
    for seed in range(n_seeds):
        samples = speech_like(CLIP_S, seed=seed, rate=RATE)
        for ending, write in FORMATS.items():
            path = folder / f"clip-{seed}.{ending}"
            path.write_bytes(write(samples, RATE))
            made.append(path)
    return made


def decode_by_pyav(path: Path) -> None:
    """Decode a file to 16 kHz mono in this process, and throw the samples away."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                piece.to_ndarray()


def decode_by_command(path: Path) -> None:
    """Decode a file to 16 kHz mono by the `ffmpeg` command, as most servers do it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def seconds_of(decode, clips: Sequence[Path]) -> list[float]:
    """Return what decoding each clip takes."""
    took = []
    for clip in clips:
        began = time.perf_counter()
        decode(clip)
        took.append(time.perf_counter() - began)
    return took


def upload(url: str, name: str, content: bytes) -> Answer:
    """Send one recording and wait for the answer; the server holds it until there is a decision."""
    address = urlsplit(url)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/prelisten/v1/uploads", body=body, headers=headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return Answer(time.perf_counter() - began, response.status, answer.get("decision"))


def one_at_a_time(url: str, clips: Sequence[Path], n_uploads: int) -> list[Answer]:
    """Upload clip after clip, each when the one before is decided."""
    return [
        upload(url, clips[n % len(clips)].name, clips[n % len(clips)].read_bytes()) for n in range(n_uploads)
    ]


def at_a_rate(url: str, clips: Sequence[Path], n_uploads: int, per_second: float) -> list[Answer]:
    """Upload at a fixed rate, whether or not earlier ones are answered."""
    answers: list[Answer] = []

    def send(clip: Path) -> None:
        answers.append(upload(url, clip.name, clip.read_bytes()))

    began, senders = time.perf_counter(), []
    for number in range(n_uploads):
        time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        sender = threading.Thread(target=send, args=(clips[number % len(clips)],))
        sender.start()
        senders.append(sender)
    for sender in senders:
        sender.join()
    return answers


def summary(answers: Sequence[Answer]) -> dict[str, float]:
    """Return count, median, 95th percentile and the share that got a last decision at once."""
    took = sorted(answer.seconds for answer in answers if answer.status == 201)
    if not took:
        return {"uploads": len(answers), "decided": 0}
    return {
        "uploads": len(answers),
        "decided": len(took),
        "held": sum(answer.status == 202 for answer in answers),
        "refused": sum(answer.status == 429 for answer in answers),
        "p50_s": round(statistics.median(took), 3),
        "p95_s": round(float(np.percentile(took, 95)), 3),
    }


def stages(url: str) -> dict[str, tuple[float, float]]:
    """Return (seconds, times) of each stage so far, from the server's metrics."""
    text = urllib.request.urlopen(f"{url}/prelisten/v1/metrics", timeout=10).read().decode()
    found: dict[str, dict[str, float]] = {}
    for kind, stage, value in STAGE.findall(text):
        found.setdefault(stage, {})[kind] = float(value)
    return {stage: (some.get("sum", 0.0), some.get("count", 0.0)) for stage, some in found.items()}


def mean_stages(before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]) -> dict:
    """Return the mean seconds of each stage between two readings."""
    means = {}
    for stage, (seconds, times) in after.items():
        seconds_before, times_before = before.get(stage, (0.0, 0.0))
        if times > times_before:
            means[stage] = round((seconds - seconds_before) / (times - times_before), 4)
    return means


def processes_below(root: int) -> Iterator[tuple[int, str]]:
    """Yield (process id, command line) of a process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue  # It has ended meanwhile.
    for process in parents:
        at = process
        while at in parents and at != root:
            at = parents[at]
        if at == root:
            try:
                words = (Path("/proc") / str(process) / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            yield process, words.replace("\0", " ")


def role(words: str) -> str:
    """Return what a process of the server is for."""
    if "prelisten.media.child" in words:
        return "decoder"
    if "gunicorn" in words:
        return "web process"
    return "screening process" if "prelisten.cli worker" in words else "supervisor"


def memory_kb(process: int, field: str) -> int:
    """Return a line of `/proc/ID/status` in kB, 0 when the process is gone."""
    try:
        found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def large_upload(server: Server) -> dict[str, float]:
    """Upload 50 MB and return, by role, the megabytes that it added at the worst moment."""
    voice = speech_like(20.0, seed=1, rate=48_000)
    repeated = np.tile(voice, -(-LARGE_BYTES // (2 * voice.size)))
    content = wav_bytes(repeated[: LARGE_BYTES // 2], 48_000)
    before = {}
    for process, words in processes_below(server.process.pid):
        Path(f"/proc/{process}/clear_refs").write_text("5")  # Sets the high-water mark back.
        before[process] = (role(words), memory_kb(process, "VmRSS"))
    decoder_kb, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for process, words in processes_below(server.process.pid):
                if role(words) == "decoder":
                    decoder_kb.append(memory_kb(process, "VmHWM"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = upload(server.url, "large.wav", content)
    ended.set()
    watcher.join()
    added: dict[str, float] = {"upload_mb": len(content) / 1e6, "seconds": round(answer.seconds, 2)}
    for process, (name, kb) in before.items():
        peak = memory_kb(process, "VmHWM")
        added[f"{name}_added_mb"] = round(max(added.get(f"{name}_added_mb", 0), (peak - kb) / 1e3), 1)
        added[f"{name}_mb"] = round(max(added.get(f"{name}_mb", 0), peak / 1e3), 1)
    added["decoder_mb"] = round(max(decoder_kb) / 1e3, 1)
    return added


def plain_decoding(clips: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return median and 95th percentile of decoding alone."""
    decoders = {"PyAV, in this process": decode_by_pyav}
    if shutil.which("ffmpeg"):
        decoders["ffmpeg, a process each"] = decode_by_command
    measured = {}
    for name, decode in decoders.items():
        took = seconds_of(decode, clips)
        p95_s = round(float(np.percentile(took, 95)), 3)
        measured[name] = {"p50_s": round(statistics.median(took), 3), "p95_s": p95_s}
    return measured


def measure(options: argparse.Namespace, folder: Path) -> dict:
    """Return all figures."""
    clips = make_clips(folder, options.seeds)
    settings = {"wait_s": "60", "workers": str(options.workers), "upload_rate_limit": "100000/minute"}
    server = start_server(folder / "data", **settings)
    try:
        one_at_a_time(server.url, clips, 2)  # The first ones pay for imports.
        start = stages(server.url)
        alone = one_at_a_time(server.url, clips, options.uploads)
        middle = stages(server.url)
        loaded = at_a_rate(server.url, clips, options.uploads, options.rate)
        end = stages(server.url)
        large = large_upload(server)
    finally:
        server.stop()
    return {
        "clip_s": CLIP_S,
        "formats": list(FORMATS),
        "processors": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "workers": options.workers,
        "rate_per_s": options.rate,
        "plain decoding": plain_decoding(clips),
        "one at a time": summary(alone),
        f"{options.rate:g} a second": summary(loaded),
        "stages, one at a time": mean_stages(start, middle),
        "stages, under load": mean_stages(middle, end),
        "50 MB": large,
    }


def table(figures: Mapping[str, object]) -> str:
    """Return the figures as lines that people read."""
    out = io.StringIO()
    for name, value in figures.items():
        if isinstance(value, Mapping):
            out.write(f"\n{name}\n")
            for key, some in value.items():
                words = ", ".join(f"{k} {v}" for k, v in some.items()) if isinstance(some, Mapping) else some
                out.write(f"  {key:<28} {words}\n")
        else:
            out.write(f"{name}: {value}\n")
    return out.getvalue()


def main() -> None:
    """Measure, print a table, write JSON when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=60, help="for each of the two loads")
    parser.add_argument("--rate", type=float, default=1.0, help="uploads a second under load")
    parser.add_argument("--seeds", type=int, default=2, help="different clips in each format")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(options, Path(name))
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
