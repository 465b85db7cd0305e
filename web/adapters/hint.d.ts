// What every adapter takes, and what it gets for a file.
import type { PrelistenCheck, Progress, Result } from "../index.js";

export interface Hint {
  /** What the upload carries; empty where there is none. */
  readonly token: string;
  readonly result: Result | null;
  /** Why there is no result. The file is uploaded all the same. */
  readonly error: Error | null;
}

export interface HintOptions {
  /** As the server expects it; `voice-upload` by default. */
  action?: string;
  session?: string | null;
  /** Where the API is, when it is not beside the script. */
  endpoint?: string;
  maxSeconds?: number;
  test?: string | null;
  /** Address of `widget.js`, loaded where the page has not done so; `/prelisten/v1/widget.js` by default. */
  script?: string;
  /** The longest that an upload waits, in milliseconds; never more than 15000. */
  wait?: number;
  signal?: AbortSignal;
  /** Which files are listened to: those that may have sound, by default. */
  accepts?: (file: Blob) => boolean;
  onProgress?: (progress: Progress) => void;
  onResult?: (result: Result, file: Blob) => void;
  onError?: (error: Error, file: Blob) => void;
}

export const WAIT_MS: number;
export function hintFor(file: Blob, options?: HintOptions): Promise<Hint>;
/** Load the detector for it, as soon as it is chosen. Never rejects. */
export function warm(file: Blob, options?: HintOptions): Promise<void>;
/** Forget its token, once it was sent. */
export function spend(file: Blob): void;
export function load(script?: string): Promise<typeof PrelistenCheck>;
