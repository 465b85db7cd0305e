// @ts-check
export const panelStyles = `
:host {
  --_clear: var(--prelisten-clear, light-dark(#1f7a4d, #6cd39b));
  --_elevated: var(--prelisten-elevated, light-dark(#8a5a00, #f0bd5c));
  --_high: var(--prelisten-high, light-dark(#a8361c, #ff9b80));
  --_unsure: var(--prelisten-inconclusive, light-dark(#55605d, #a9b5b0));
}
p, dl, dd, figure, ul { margin: 0; padding: 0; }
.panel { --_tone: var(--_accent); container-type: inline-size; padding: 16px; border-top: 1px solid var(--_line); }
.problem, .inconclusive, .neutral { --_tone: var(--_unsure); }
.clear { --_tone: var(--_clear); }
.elevated { --_tone: var(--_elevated); }
.high { --_tone: var(--_high); }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 12px; }
.done .head { align-items: flex-start; }
.words { flex: 1 1 9rem; min-width: 0; overflow-wrap: anywhere; }
.badge {
  display: grid; flex: none; place-items: center; width: 40px; height: 40px; border-radius: 50%;
  background: color-mix(in srgb, var(--_tone) 13%, transparent); color: var(--_tone);
}
.icon { width: 26px; height: 26px; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.title { font-size: 1.0625rem; font-weight: 650; line-height: 1.35; }
.score { margin-inline-start: 6px; color: var(--_muted); font-size: 0.875rem; font-weight: 400; }
.soft { color: var(--_muted); font-size: 0.9375rem; }
.number { font-variant-numeric: tabular-nums; }
progress {
  display: block; width: 100%; height: 6px; margin-top: 14px; overflow: hidden; appearance: none;
  border: 0; border-radius: 3px; background: var(--_well); color: var(--_accent);
}
progress::-webkit-progress-bar { background: var(--_well); }
progress::-webkit-progress-value { border-radius: 3px; background: var(--_accent); transition: inline-size 0.25s linear; }
progress::-moz-progress-bar { border-radius: 3px; background: var(--_accent); }
.rolling { margin-top: 8px; }
.room {
  position: relative; display: grid; align-content: end; box-sizing: border-box; height: 13.2rem; padding: 12px 16px;
  margin-top: 18px; border-radius: 8px; background: linear-gradient(var(--_line) 0 0) 16px 80px / calc(100% - 32px) 2px no-repeat var(--_well);
}
button:disabled { opacity: 0.6; cursor: default; }
.recording { display: flex; flex: 1 1 100%; flex-wrap: wrap; align-items: center; gap: 4px 10px; }
.live { display: inline-flex; align-items: center; gap: 8px; font-weight: 600; }
.live::before { content: ""; width: 10px; height: 10px; border-radius: 50%; background: var(--_high); animation: live 1.6s ease-in-out infinite; }
@keyframes live { 50% { opacity: 0.35; } }
.level { flex: 1 1 6rem; min-width: 4rem; height: 10px; border: 1px solid var(--_edge); border-radius: 5px; overflow: hidden; appearance: none; background: none; }
.level::-webkit-meter-bar { height: 100%; border: 0; border-radius: 0; background: none; }
.level::-webkit-meter-inner-element { height: 100%; }
.level::-webkit-meter-optimum-value { background: var(--_accent); }
.level::-moz-meter-bar { background: var(--_accent); }
.record .note { flex-basis: 100%; margin-top: 0; }
.problem-text { color: inherit; font-weight: 600; }
.caption { margin-top: 18px; font-size: 0.8125rem; font-weight: 600; color: var(--_muted); }
.reasons { display: grid; gap: 12px; margin-top: 8px; list-style: none; }
.reasons li { padding-inline-start: 12px; border-inline-start: 3px solid color-mix(in srgb, var(--_tone) 55%, transparent); }
.reasons .limit { border-color: var(--_line); }
.name { font-size: 0.9375rem; font-weight: 600; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; }
.done .actions { display: contents; }
.file { display: none; overflow-wrap: anywhere; font-weight: 600; }
.file.title { display: block; margin-bottom: 8px; }
.fold > summary { display: inline-flex; align-items: center; min-height: 32px; margin-top: 8px; cursor: pointer; color: var(--_accent); font-size: 0.9375rem; font-weight: 600; }
.fold > summary::after { content: ""; width: 6px; height: 6px; margin-inline-start: 8px; border: solid; border-width: 0 2px 2px 0; rotate: 45deg; translate: 0 -2px; }
.fold[open] > summary::after { rotate: 225deg; translate: 0 2px; }
.fold > summary:focus-visible { border-radius: 4px; }
.reasons .places { margin-top: 6px; }
.facts { display: grid; gap: 8px; margin-top: 18px; padding-top: 14px; border-top: 1px solid var(--_line); font-size: 0.875rem; }
dt { font-weight: 600; }
dd { color: var(--_muted); }
@container (max-width: 20rem) {
  .badge { width: 32px; height: 32px; }
  .icon { width: 22px; height: 22px; }
  div.words { display: contents; }
  .title { flex: 1 1 6rem; min-width: 0; }
  .words > :not(.title) { flex-basis: 100%; }
  .problem .head { align-items: flex-start; }
  .score { display: block; margin: 0; }
  .panel > .file { display: block; margin-bottom: 10px; }
}
@media (prefers-reduced-motion: reduce) {
  progress::-webkit-progress-value { transition: none; }
  .live::before { animation: none; }
}
@media (forced-colors: active) {
  .badge { border: 1px solid; forced-color-adjust: auto; }
  .live::before { background: CanvasText; forced-color-adjust: none; }
  .level::-webkit-meter-optimum-value { background: CanvasText; forced-color-adjust: none; }
  progress { height: 10px; border: 1px solid CanvasText; }
  progress::-webkit-progress-value { background: CanvasText; forced-color-adjust: none; }
  progress::-moz-progress-bar { background: CanvasText; forced-color-adjust: none; }
}
`;
