// The page of the bench: one recording is chosen, one line with all its times goes to the console.
// ?client=URL of the module whose `Client` screens; ?worker=URL of its worker; ?spied: the worker tells its memory.

const query = new URLSearchParams(location.search);
const marks = { chosen: 0, made: 0, ready: 0, heard: 0 };
const tasks = { longest: 0, long: 0 };
const MAX_SECONDS = 600;

new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    tasks.longest = Math.max(tasks.longest, duration);
    tasks.long += 1; // The browser tells of tasks from 50 ms on.
  }
}).observe({ type: "longtask", buffered: true });

let start = "";
let starting = {};
/** @type {Promise<object> | undefined} */
let loaded;
const told = new BroadcastChannel("memory");

/** @returns {Promise<object>} the worker's own word about its memory */
function askMemory() {
  return new Promise((resolve) => {
    told.onmessage = ({ data }) => data.wasm === undefined || resolve(data);
    told.postMessage({});
  });
}

/** One question at a time: each build is asked when it is ready and again when it is done. */
async function bothMemories() {
  const before = await loaded;
  return { loaded: before, analysed: { ...(await askMemory()), page: performance.memory.usedJSHeapSize } };
}

// Every build is started by the same constructor; its messages bear the same kinds.
globalThis.Worker = class extends Worker {
  constructor(script, options) {
    marks.made = performance.now();
    super(script, options);
    this.addEventListener("message", ({ data }) => {
      if (data.kind === "ready") {
        marks.ready = performance.now();
        start = data.start ?? "";
        starting = data.times ?? {};
        if (query.has("spied")) loaded = askMemory();
      } else if (data.kind === "progress" && data.progress.phase === "analysing") {
        marks.heard ||= performance.now();
      }
    });
  }
};

async function screen(file) {
  marks.chosen = performance.now();
  const { Client } = await import(query.get("client"));
  const client = new Client(new URL(query.get("worker"), location.href));
  const outcome = await client.screen(file, { maxSeconds: MAX_SECONDS, onProgress: () => {} });
  const band = performance.now() - marks.chosen;
  const memory = query.has("spied") ? await bothMemories() : {};
  await new Promise((resolve) => setTimeout(resolve, 100)); // The observer speaks after the task.
  return {
    band,
    ready: marks.ready - marks.made,
    heard: marks.heard && marks.heard - marks.chosen,
    times: outcome.times ?? {},
    analysed: outcome.result.coverage.analysed_s,
    start,
    starting,
    memory,
    browser: navigator.userAgent,
    ...tasks,
  };
}

document.querySelector("input").addEventListener("change", async ({ target }) => {
  try {
    console.log(`BENCH ${JSON.stringify(await screen(target.files[0]))}`);
  } catch (error) {
    console.log(`BENCH ${JSON.stringify({ error: `${error.code ?? ""} ${error}` })}`);
  }
});
