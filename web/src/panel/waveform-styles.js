// @ts-check
export const waveformStyles = `
.timeline { margin-top: 18px; }
.preview { position: absolute; inset: 43px 16px auto; }
.preview svg { display: block; width: 100%; }
.canvas { position: relative; }
.canvas svg { display: block; width: 100%; overflow: visible; }
.slider { border-radius: 6px; cursor: pointer; touch-action: pan-y; user-select: none; }
.slider:focus-visible { outline: 2px solid var(--_accent); outline-offset: 4px; }
.wave { fill: none; stroke: color-mix(in srgb, currentColor 52%, transparent); stroke-width: 2.25; stroke-linecap: round; }
.wave.marked { stroke: color-mix(in srgb, var(--_tone) 72%, currentColor); }
.mark { fill: color-mix(in srgb, var(--_tone) 9%, transparent); }
.edge { fill: var(--_tone); }
.hatch { fill: none; stroke: color-mix(in srgb, currentColor 32%, transparent); stroke-width: 2; }
.timeline rect.marked { fill: color-mix(in srgb, var(--_tone) 80%, transparent); }
.timeline rect.plain { fill: color-mix(in srgb, currentColor 34%, transparent); }
.timeline rect.none { fill: color-mix(in srgb, currentColor 20%, transparent); }
.unmoved { visibility: hidden; }
.slider:focus-visible .unmoved { visibility: visible; }
.head-line { fill: var(--_accent); stroke: var(--_accent); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 8px; font-size: 0.8125rem; }
.key { display: inline-flex; align-items: center; gap: 6px; }
.swatch { flex: none; overflow: hidden; width: 16px; height: 14px; fill: none; stroke: currentColor; stroke-width: 3; }
.swatch.marked { background: color-mix(in srgb, var(--_tone) 18%, transparent); }
.swatch.marked path { stroke: var(--_tone); }
.swatch.unheard { stroke-width: 1.5; }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; margin-top: 12px; }
.play { display: grid; flex: none; place-items: center; width: 40px; height: 40px; min-height: 40px; padding: 0; border-radius: 50%; color: var(--_accent); }
.play svg { width: 20px; height: 20px; fill: currentColor; stroke: currentColor; stroke-width: 3; stroke-linecap: round; stroke-linejoin: round; }
.time { color: var(--_muted); font-size: 0.875rem; }
.places { display: flex; flex-wrap: wrap; gap: 6px; }
.place { display: inline-flex; align-items: center; gap: 5px; min-height: 28px; padding: 3px 9px 3px 7px; font-size: 0.8125rem; font-weight: 500; }
.place svg { width: 11px; height: 11px; fill: currentColor; }
.unseen { position: absolute; overflow: hidden; width: 1px; height: 1px; clip-path: inset(50%); }
@media (forced-colors: active) {
  .wave { stroke: CanvasText; }
  .hatch, .swatch.unheard path { stroke: GrayText; }
  .wave.marked { stroke: Highlight; }
  .mark { fill: none; }
  .edge, .timeline rect.marked { fill: Highlight; }
  .swatch.marked path { stroke: Highlight; }
  .timeline rect.plain { fill: CanvasText; }
  .timeline rect.none { fill: GrayText; }
  .head-line { fill: LinkText; stroke: LinkText; }
}
`;
