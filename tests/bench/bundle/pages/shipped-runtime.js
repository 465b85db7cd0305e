// Takes the place of the product's loader: Pyodide as its documentation starts it, numpy and the detector from source.
import { Tell } from "./protocol.js";

const BASE = new URL("./", import.meta.url);

export async function start(tell) {
  const { loadPyodide } = await import("./pyodide.mjs");
  const pyodide = await loadPyodide({ indexURL: BASE.href, stdout: () => {}, stderr: () => {} });
  await pyodide.loadPackage(["numpy", new URL(__WHEEL__, BASE).href]);
  const detector = pyodide.pyimport("wasm_detector.browser");
  tell({ kind: Tell.READY, detector: plain(detector.describe()) });
  return detector;
}

export function plain(proxy) {
  const value = proxy.toJs({
    dict_converter: (entries) => Object.fromEntries(Array.from(entries, ([key, value]) => [key, value ?? null])),
  });
  proxy.destroy();
  return value;
}
