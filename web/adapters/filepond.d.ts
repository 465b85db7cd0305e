import type { HintOptions } from "./hint.js";

export type FilePondPlugin = (tools: { addFilter: (name: string, filter: (...args: any[]) => unknown) => void }) => {
  options: Record<string, never>;
};

export function prelisten(options?: Omit<HintOptions, "signal">): FilePondPlugin;
export function withHint(form: FormData): FormData;
