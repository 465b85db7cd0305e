"""Encoded sound found and decoded piece by piece: the worker's own modules, with a stand-in for WebCodecs alone."""

from __future__ import annotations

import base64
import importlib
import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from scipy.signal import correlate

from tests.media_files import media_file
from tests.recordings import FORMATS, speech_like

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "web"))
toolchain = importlib.import_module("bundling.toolchain")

# What a browser without further decoders knows; a decoder gives a sample for each byte, at 100 Hz.
BROWSER = """
import { readFile } from "node:fs/promises";
const [media, demux, frames, decoding, given] = process.argv.slice(2);
const known = /^(mp4a|opus|ac-3)/;
globalThis.EncodedAudioChunk = class { constructor(about) { Object.assign(this, about); } };
globalThis.AudioDecoder = class {
  static isConfigSupported = async ({ codec }) => ({ supported: known.test(codec) });
  constructor({ output }) { this.output = output; this.state = "unconfigured"; this.decodeQueueSize = 0; }
  configure() { this.state = "configured"; }
  decode({ data, timestamp }) {
    const [sampleRate, numberOfFrames, numberOfChannels] = [100, data.length, 1];
    const copyTo = (to) => to.set(data);
    this.output({ sampleRate, numberOfFrames, numberOfChannels, timestamp, copyTo, close() {} });
  }
  async flush() {}
  close() { this.state = "closed"; }
};
const blob = async (path) => new Blob([await readFile(path)]);
const tell = (value) => console.log(JSON.stringify(value));
"""
FRAMES = """
const { FrameFile } = await import(frames);
const file = new FrameFile(await blob(given), "mp3");
let checks = 0;
await file.walk(3600, () => (checks += 1));
let [bytes, count] = [0, 0];
for (let packet = await file.getFirstPacket(); packet; packet = await file.getNextPacket(packet)) {
  bytes += packet.data.length;
  count += 1;
}
const cancelled = await new FrameFile(await blob(given), "mp3")
  .walk(3600, () => { throw new Error("cancelled"); })
  .catch((error) => error.message);
tell({ bytes, count, seconds: file.seconds, checks, cancelled });
"""
READ = """
const { Media } = await import(media);
const packet = (second) => ({ data: new Uint8Array(100).fill(second), timestamp: second, duration: 1 });
const { ends, windows } = JSON.parse(given);
const packets = {
  getFirstPacket: async () => packet(0),
  getPacket: async (seconds) => packet(Math.floor(seconds)),
  getNextPacket: async ({ timestamp }) => {
    if (ends.includes(timestamp + 1)) throw new Error("unreadable");
    return packet(timestamp + 1);
  },
};
const about = { sampleRate: 100, frames: 1e6, close() {} };
const sound = new Media(packets, { codec: "mp3" }, { origin: 0, start: 0, ticks: 0 }, about);
const lengths = [];
for (const [from, to] of windows) {
  for (let at = from; at < to; at += 4) lengths.push((await sound.read(at * 100, (at + 4) * 100)).length);
}
tell(lengths);
"""
TRACK = """
const { openTrack } = await import(demux);
const { webCodecs } = await import(decoding);
const track = await openTrack(await blob(given), webCodecs).catch((error) => ({ error: error.code }));
tell({ codec: track.config?.codec, delay: track.delay, error: track.error });
track.close?.();
"""

CUT = """
const { cutting, openMedia } = await import(media);
const told = [];
for (const [path, format] of JSON.parse(given).files) {
  const files = [];
  const keep = async (bytes, rate) => {
    files.push(Buffer.from(bytes).toString("base64"));
    return new Float32Array(20 * rate);
  };
  const sound = await openMedia(await blob(path), format, () => {}, cutting(keep));
  const tried = files.length;
  await sound.read(4 * sound.sampleRate, 11 * sound.sampleRate);
  told.push(files.slice(tried));
}
tell(told);
"""

# Each packet's samples are their own places in the recording.
JOINTS = """
const { openTrack } = await import(demux);
const { cutting, Media } = await import(media);
const LENGTH = 4608;
const track = await openTrack(await blob(given), { isSupported: async () => true });
const all = [];
for (let packet = await track.packets.getFirstPacket(); packet; packet = await track.packets.getNextPacket(packet)) {
  const data = new Uint8Array(new Uint32Array([all.length]).buffer);
  all.push({ data, timestamp: packet.timestamp, duration: packet.duration });
}
const packets = {
  getFirstPacket: async () => all[0],
  getPacket: async (seconds) => all.findLast(({ timestamp }) => timestamp <= seconds),
  getNextPacket: async (packet) => all[all.indexOf(packet) + 1] ?? null,
};
const decode = async (bytes) => {
  const places = new Uint32Array(bytes.slice(42).buffer);
  const place = (at) => places[Math.floor(at / LENGTH)] * LENGTH + (at % LENGTH);
  return Float32Array.from({ length: places.length * LENGTH }, (_, at) => place(at));
};
const { sampleRate } = track.config;
const timing = { origin: all[0].timestamp, start: 0, ticks: sampleRate / 1000 };
const about = { sampleRate, frames: 12 * sampleRate, decoders: cutting(decode), close() {} };
const sound = new Media(packets, track.config, timing, about);
let [heard, misplaced] = [0, 0];
for (let second = 0; second < 12; second += 4) {
  const samples = await sound.read(second * sampleRate, (second + 4) * sampleRate);
  heard += samples.length;
  samples.forEach((place, at) => (misplaced += place !== second * sampleRate + at));
}
tell({ unstated: all.filter(({ duration }) => !duration).length, heard, misplaced });
track.close();
"""


@pytest.fixture(scope="module")
def node() -> str:
    return str(toolchain.find_node(Path(sys.executable), print).node)


def run(node: str, folder: Path, script: str, given: bytes | dict[str, Any]) -> Any:
    """Return what the script tells about a file with these bytes, or about plain data."""
    plan = folder / "plan.mjs"
    plan.write_text(BROWSER + script)
    last = json.dumps(given) if isinstance(given, dict) else folder / "given"
    if isinstance(given, bytes):
        (folder / "given").write_bytes(given)
    modules = [
        (ROOT / f"web/src/worker/{name}.js").as_uri() for name in ("media", "demux", "frames", "decoding")
    ]
    done = subprocess.run(
        [node, plan, *modules, last], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mp3() -> bytes:
    """Return frames alone, without the tag of an encoder."""
    options = {"write_xing": "0", "id3v2_version": "0"}
    return media_file(speech_like(6.0, seed=1), 16_000, container="mp3", codec="libmp3lame", options=options)


def test_every_frame_is_found_again_behind_a_picture_of_megabytes(node: str, tmp_path: Path) -> None:
    """Two podcasts joined: between their frames lies what is no frame, more than what is read at once."""
    one = mp3()
    told = run(node, tmp_path, FRAMES, one + b"ID3" + bytes(3 << 20) + one)
    assert told["bytes"] == 2 * len(one)
    assert told["seconds"] == pytest.approx(12.0, abs=0.3)


def test_walk_through_a_file_can_be_ended(node: str, tmp_path: Path) -> None:
    """A cancel is looked for with every slice, also where nothing is a frame."""
    told = run(node, tmp_path, FRAMES, mp3() + bytes(3 << 20))
    assert (told["checks"], told["cancelled"]) == (4, "cancelled")


def test_window_whose_decoding_ends_early_stays_without_a_gap(node: str, tmp_path: Path) -> None:
    """What follows in the same window is left out, however long it is; the next window is heard."""
    plan = {"ends": [6], "windows": [[0, 24], [60, 68]]}
    assert run(node, tmp_path, READ, plan) == [400, 200, 0, 0, 0, 0, 400, 400]
    near = {"ends": [6], "windows": [[0, 8], [12, 16]]}
    assert run(node, tmp_path, READ, near) == [400, 200, 400]


def two_tracks(first: str) -> bytes:
    """Return Matroska with two sound tracks, the second AAC."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as target:
        streams = [target.add_stream(codec, rate=48_000, layout="stereo") for codec in (first, "aac")]
        planes = np.tile(speech_like(1.0, rate=48_000), (2, 1))
        for stream in streams:
            sample_format, size = stream.codec_context.format, stream.codec_context.frame_size
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            resampler = av.AudioResampler(sample_format, "stereo", 48_000, frame_size=size or 1024)
            for piece in (*resampler.resample(frame), None):
                target.mux(stream.encode(piece))
    return file.getvalue()


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("aac", {"codec": "mp4a.40.2"}),
        ("alac", {"error": "unsupported"}),
        ("mp2", {"error": "unsupported"}),
        ("ac3", {"codec": "mp4a.40.2"}),
    ],
)
def test_track_is_the_one_that_the_server_hears(
    first: str, told: dict[str, str], node: str, tmp_path: Path
) -> None:
    """Of one that this browser cannot decode it hears nothing, rather than another recording than the server."""
    found = run(node, tmp_path, TRACK, two_tracks(first))
    assert {name: found[name] for name in told} == told


def test_delay_is_what_the_track_itself_states(node: str, tmp_path: Path) -> None:
    """The same bytes elsewhere, here in a filler of half a second, are no statement."""
    content = media_file(speech_like(1.0, rate=48_000), container="webm", codec="libopus")
    segment = content.index(b"\x18\x53\x80\x67")
    filler = b"\xec\x87" + b"\x56\xaa\x84" + (500_000_000).to_bytes(4, "big")
    told = run(node, tmp_path, TRACK, content[:segment] + filler + content[segment:])
    assert told["delay"] == pytest.approx(312 / 48_000)


CUT_CASES = {
    "mp3": ("mp3", lambda voice: media_file(voice, container="mp3", codec="libmp3lame")),
    "aac": ("aac", lambda voice: media_file(voice, container="adts")),
    "m4a": ("mp4", lambda voice: media_file(voice, container="ipod")),
    "opus": ("ogg", lambda voice: media_file(voice, container="ogg", codec="libopus")),
    "webm": ("webm", lambda voice: media_file(voice, container="webm", codec="libopus")),
    "ogg": ("ogg", lambda voice: FORMATS["ogg"](voice, CUT_RATE)),
    "flac": ("flac", lambda voice: FORMATS["flac"](voice, CUT_RATE)),
}
CUT_RATE = 48_000
# Heard before it is wanted.
SETTLED = CUT_RATE // 2
# Decoders make the noise in AAC as they like.
NEAR = {"aac": 0.05, "m4a": 0.05}


def test_cut_files_sound_as_the_whole_does(node: str, tmp_path: Path) -> None:
    """Another decoder finds in each small file what it finds in the whole recording, sample for sample."""
    voice = speech_like(12.0, seed=7, rate=CUT_RATE)
    paths = {ending: tmp_path / f"voice.{ending}" for ending in CUT_CASES}
    for ending, path in paths.items():
        path.write_bytes(CUT_CASES[ending][1](voice))
    given = {"files": [[str(path), CUT_CASES[ending][0]] for ending, path in paths.items()]}
    for (ending, path), files in zip(paths.items(), run(node, tmp_path, CUT, given), strict=True):
        whole = decoded(path.read_bytes())
        pieces = [decoded(base64.b64decode(file)) for file in files]
        places = [place_of(piece, whole) for piece in pieces]
        assert len(pieces) == 2, ending
        for piece, place in zip(pieces, places, strict=True):
            found = whole[place + SETTLED : place + piece.size]
            differences = np.abs(piece[SETTLED : SETTLED + found.size] - found)
            assert differences.max() < NEAR.get(ending, 1e-4), ending
        assert places[0] == pytest.approx(2 * CUT_RATE, abs=4_800), (
            ending
        )  # Two seconds before what is wanted.
        shared = places[0] + pieces[0].size - places[1]
        assert shared == pytest.approx(CUT_RATE, abs=4_800), ending  # One second is heard again.


def test_blocks_that_state_no_duration_leave_no_gap(node: str, tmp_path: Path) -> None:
    """The last block of each cluster of Matroska is one: every sample is heard, in its place."""
    content = media_file(speech_like(12.0, rate=CUT_RATE), container="matroska", codec="flac")
    told = run(node, tmp_path, JOINTS, content)
    assert told["unstated"] > 1
    assert (told["heard"], told["misplaced"]) == (12 * CUT_RATE, 0)


def decoded(content: bytes) -> np.ndarray:
    """Return the samples of a file's sound."""
    with av.open(io.BytesIO(content)) as source:
        resampler = av.AudioResampler("fltp", "mono", CUT_RATE)
        frames = [one for frame in source.decode(audio=0) for one in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def place_of(piece: np.ndarray, whole: np.ndarray) -> int:
    """Return the frame of the whole that the piece's first one is."""
    part = piece[SETTLED : SETTLED + CUT_RATE].astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(whole.astype(np.float64) ** 2)])
    likeness = 2 * correlate(whole.astype(np.float64), part, mode="valid", method="fft")
    return int(np.argmin(energy[part.size :] - energy[: -part.size] - likeness)) - SETTLED
