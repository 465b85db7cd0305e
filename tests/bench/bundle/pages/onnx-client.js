// The page's side of onnx-worker.js, with the product's own interface.

export class Client {
  constructor(script) {
    this.script = script;
  }

  async screen(file) {
    const worker = new Worker(this.script, { type: "module" });
    const finished = new Promise((resolve, reject) => {
      worker.addEventListener("message", ({ data }) => data.kind === "finished" && resolve(data.outcome));
      worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker failed")));
    });
    if (file.type.includes("wav")) {
      worker.postMessage({ file });
    } else {
      const decoded = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(await file.arrayBuffer());
      const samples = decoded.getChannelData(0).slice();
      worker.postMessage({ samples }, [samples.buffer]);
    }
    return finished;
  }
}
