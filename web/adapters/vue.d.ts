import type { DefineComponent, ShallowRef } from "vue";
import type { Options, PrelistenCheck as Element, PrelistenEvents, Result } from "../index.js";

export interface PrelistenCheckProps extends Partial<Options> {
  /** Address of `widget.js`, loaded where the page has not done so; `/prelisten/v1/widget.js` by default. */
  script?: string;
  /** `v-model`: the token that the form would send now. With `seal="result"` it is there before the submit. */
  modelValue?: string;
  /** `v-model:result`: what the detector said, or `null`. */
  result?: Result | null;
}

export type PrelistenCheckEmits = {
  start: (event: PrelistenEvents["prelisten-start"]) => void;
  statechange: (event: PrelistenEvents["prelisten-statechange"]) => void;
  progress: (event: PrelistenEvents["prelisten-progress"]) => void;
  result: (event: PrelistenEvents["prelisten-result"]) => void;
  sealed: (event: PrelistenEvents["prelisten-sealed"]) => void;
  error: (event: PrelistenEvents["prelisten-error"]) => void;
  "update:modelValue": (token: string) => void;
  "update:result": (result: Result | null) => void;
};

export const PrelistenCheck: DefineComponent<
  PrelistenCheckProps,
  { element: ShallowRef<Element | null> },
  {},
  {},
  {},
  {},
  {},
  PrelistenCheckEmits
>;
