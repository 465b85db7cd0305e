import { BasePlugin } from "@uppy/core";
import type { Body, Meta, PluginOpts, Uppy } from "@uppy/core";
import type { HintOptions } from "./hint.js";

export interface PrelistenOptions extends PluginOpts, Omit<HintOptions, "signal"> {
  /** The metadata that carries the token: your upload's field name and `-hint`. `file-hint` by default. */
  name?: string;
}

export class Prelisten<M extends Meta, B extends Body> extends BasePlugin<PrelistenOptions, M, B> {
  constructor(uppy: Uppy<M, B>, options?: PrelistenOptions);
}

export default Prelisten;
