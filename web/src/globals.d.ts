// Constants that the build puts in (bundle.py).
declare const __FILES__: Record<string, { sha256: string; bytes: number }>;
declare const __LIBRARIES__: Record<string, string>;
declare const __LOCKFILE__: object;
declare const __DETECTOR__: { id: string; sha256: string; requires?: { name: string; sha256: string }[] };
declare const __BUNDLE__: string;
declare const __EARLY__: Record<string, string>;
declare const __LOCALES__: string[];

// The scope of an audio worklet, which the DOM's types leave out.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: typeof AudioWorkletProcessor): void;

// Not in the DOM's types yet, nor in every browser.
interface Window {
  readonly scheduler?: { postTask?(callback: () => void, options: { priority: "user-blocking" }): Promise<void> };
}
