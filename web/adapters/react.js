// @ts-check
// React 19: the element as a component, with typed properties and events. The input stays your own, as its child.
import { createElement, useEffect } from "react";
import { load } from "./hint.js";

/** React adds a listener for `on` and the event's name. @type {Record<string, string>} */
const EVENTS = {
  onStart: "onprelisten-start",
  onStateChange: "onprelisten-statechange",
  onProgress: "onprelisten-progress",
  onResult: "onprelisten-result",
  onSealed: "onprelisten-sealed",
  onError: "onprelisten-error",
};
/** @type {Record<string, string>} */
const ATTRIBUTES = { maxSeconds: "max-seconds", workerSrc: "worker-src" };

/** @param {import("./react.d.ts").PrelistenCheckProps} props */
export function PrelistenCheck({ script, children, ...props }) {
  useEffect(() => {
    load(script).catch(() => {}); // The form works without it.
  }, [script]);
  const named = Object.entries(props).map(([name, value]) => [EVENTS[name] ?? ATTRIBUTES[name] ?? name, value]);
  return createElement("prelisten-check", Object.fromEntries(named), children);
}
