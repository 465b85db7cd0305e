import type { Upload } from "tus-js-client";
import type { Hint, HintOptions } from "./hint.js";

export interface TusOptions extends HintOptions {
  /** The metadata that carries the token; `file-hint` by default. */
  name?: string;
}

export function withHint(upload: Upload, options?: TusOptions): Promise<Hint>;
