// The element as other code sees it. What the detector says is typed in the source (JSDoc) and comes from there; a test
// compares this class with the real one.
import type { Band, Coverage, Phase, Progress, Provenance, Reason, Result, RollingHint, Segment } from "./types/protocol.js";

export type { Band, Coverage, Phase, Progress, Provenance, Reason, Result, RollingHint, Segment };

export type State =
  | "idle" | "loading" | "reading" | "analysing" | "done" | "sealing"
  | "unsupported" | "error" | "offline" | "cancelled" | "stale" | "timeout";

export interface Entry {
  readonly file: File;
  readonly state: State;
  readonly result: Result | null;
  readonly value: string;
}

/** What `configure` takes, and what the attributes set. */
export interface Options {
  action: string;
  appearance: string;
  auto: string;
  declare: boolean;
  disabled: boolean;
  endpoint: string | null;
  maxSeconds: number;
  name: string | null;
  preload: string;
  provenance: boolean;
  record: boolean;
  seal: string;
  session: string | null;
  show: string;
  test: string | null;
  theme: string;
  wait: number;
  waveform: string | null;
  workerSrc: string | null;
}

export interface ScreenOptions {
  action?: string;
  session?: string | null;
  test?: string | null;
  endpoint?: string;
  maxSeconds?: number;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface PrelistenCheck extends Options {}

export class PrelistenCheck extends HTMLElement {
  static define(tag?: string): void;
  static warm(): Promise<void>;
  static screen(file: File, options?: ScreenOptions): Promise<{ token: string; result: Result }>;
  readonly state: State;
  readonly result: Result | null;
  readonly value: string;
  readonly entries: readonly Entry[];
  readonly file: File | null;
  readonly input: HTMLInputElement | null;
  readonly form: HTMLFormElement | null;
  readonly ready: Promise<void>;
  readonly validity: ValidityState;
  readonly validationMessage: string;
  get strings(): Record<string, string>;
  set strings(own: Record<string, string>);
  check(): Promise<void>;
  cancel(): void;
  reset(): void;
  configure(options: Partial<Options>): void;
  checkValidity(): boolean;
  reportValidity(): boolean;
}

/** The events, by their names; all bubble, and cross shadow trees. */
export interface PrelistenEvents {
  "prelisten-start": CustomEvent<Record<string, never>>;
  "prelisten-statechange": CustomEvent<{ state: State }>;
  "prelisten-progress": CustomEvent<Progress>;
  "prelisten-result": CustomEvent<Result & { file: File }>;
  "prelisten-sealed": CustomEvent<{ expiresAt: number; file: File }>;
  "prelisten-error": CustomEvent<{ code: string; recoverable: boolean; help: string; message: string; file: File }>;
}

declare global {
  interface HTMLElementTagNameMap {
    "prelisten-check": PrelistenCheck;
  }
  interface HTMLElementEventMap extends PrelistenEvents {}
  interface DocumentEventMap extends PrelistenEvents {}
}
