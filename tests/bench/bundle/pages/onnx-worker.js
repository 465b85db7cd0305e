// onnxruntime-web, one thread (a page without cross-origin isolation has no more): one inference for each 4 s.
import * as ort from "./ort.wasm.bundle.min.mjs";

const SEGMENT = 64_000; // 4 s at 16 kHz, as the model wants them.
const WAV_HEAD = 44; // The bench writes its WAV files itself: 16 kHz, mono, 16 bits.

const fetched = fetch(new URL("./model.onnx", import.meta.url)).then((response) => response.arrayBuffer());
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("./ort-wasm-simd-threaded.wasm", import.meta.url).href };

async function load() {
  const session = await ort.InferenceSession.create(await fetched, { executionProviders: ["wasm"] });
  postMessage({ kind: "ready" });
  return session;
}
const loading = load();

async function score(session, segment) {
  const wave = new ort.Tensor("float32", segment, [1, 1, SEGMENT]);
  return (await session.run({ wave })).score.data[0];
}

async function* ofWav(file) {
  for (let at = WAV_HEAD; at < file.size; at += 2 * SEGMENT) {
    const frames = new Int16Array(await file.slice(at, at + 2 * SEGMENT).arrayBuffer());
    yield Float32Array.from(frames, (value) => value / 32768);
  }
}

async function* ofSamples(samples) {
  for (let at = 0; at < samples.length; at += SEGMENT) yield samples.subarray(at, at + SEGMENT);
}

addEventListener("message", async ({ data }) => {
  if (!data.file && !data.samples) return;
  const scores = [];
  let heard = 0;
  const session = await loading;
  for await (const segment of data.file ? ofWav(data.file) : ofSamples(data.samples)) {
    const whole = new Float32Array(SEGMENT);
    whole.set(segment);
    scores.push(await score(session, whole));
    heard += segment.length / 16_000;
    postMessage({ kind: "progress", progress: { phase: "analysing", seconds: heard } });
  }
  postMessage({ kind: "finished", outcome: { result: { scores, coverage: { analysed_s: heard } } } });
});
