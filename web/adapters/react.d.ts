import type { HTMLAttributes, ReactElement, ReactNode, Ref } from "react";
import type { Options, PrelistenCheck as CheckElement, PrelistenEvents } from "../index.js";

type Handler<Name extends keyof PrelistenEvents> = (event: PrelistenEvents[Name]) => void;
type Own = keyof Options | "children" | "onProgress" | "onError";

export interface PrelistenCheckProps extends Partial<Options>, Omit<HTMLAttributes<CheckElement>, Own> {
  /** Your own `<input type="file">`. */
  children?: ReactNode;
  ref?: Ref<CheckElement>;
  /** Address of `widget.js`, loaded where the page has not done so; `/prelisten/v1/widget.js` by default. */
  script?: string;
  onStart?: Handler<"prelisten-start">;
  onStateChange?: Handler<"prelisten-statechange">;
  onProgress?: Handler<"prelisten-progress">;
  onResult?: Handler<"prelisten-result">;
  onSealed?: Handler<"prelisten-sealed">;
  onError?: Handler<"prelisten-error">;
}

export function PrelistenCheck(props: PrelistenCheckProps): ReactElement;

/** The bare element in JSX: attributes by their names, and `onprelisten-result` and the others. */
type CheckAttributes = Partial<Omit<Options, "maxSeconds" | "workerSrc">> & { "max-seconds"?: number; "worker-src"?: string };
type Listeners = { [Name in keyof PrelistenEvents as `on${Name}`]?: Handler<Name> };

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "prelisten-check": CheckAttributes &
        Listeners &
        Omit<HTMLAttributes<CheckElement>, keyof Options> & { ref?: Ref<CheckElement>; class?: string };
    }
  }
}
