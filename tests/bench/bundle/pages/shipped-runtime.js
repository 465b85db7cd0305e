// Takes the place of the product's loader: Pyodide as its documentation starts it, numpy and the detector from source.
import { Tell } from "../protocol.js";

const BASE = new URL("./", import.meta.url);

export async function start(tell) {
  const alive = () => tell({ kind: Tell.LOADING, loaded: 0, total: 1 }); // Or the page gives a silent worker up.
  const timer = setInterval(alive, 5_000);
  const { loadPyodide } = await import("./pyodide.mjs");
  const pyodide = await loadPyodide({ indexURL: BASE.href, stdout: () => {}, stderr: () => {} });
  alive();
  await pyodide.loadPackage(["numpy", new URL(__WHEEL__, BASE).href]);
  alive();
  const detector = pyodide.pyimport("wasm_detector.browser");
  tell({ kind: Tell.READY, detector: plain(detector.describe()) });
  clearInterval(timer);
  return { detector, keep: async () => {} }; // It leaves nothing for the next visit.
}

export function plain(proxy) {
  const value = proxy.toJs({
    dict_converter: (entries) => Object.fromEntries(Array.from(entries, ([key, value]) => [key, value ?? null])),
  });
  proxy.destroy();
  return value;
}
