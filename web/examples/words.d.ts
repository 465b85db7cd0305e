import type { Band } from "@prelisten/widget";

export const WORDS: Record<Band, string>;
export function tell(text: string): void;
