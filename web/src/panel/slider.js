// @ts-check
// The picture as a slider: the keyboard and the pointer move the place that is played from.
import { secondsAt } from "./axis.js";
import { isWithin } from "./marks.js";
import { clock, fill } from "./words.js";

/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {import("./player.js").Player} Player */

const STEP_S = 1;
const LEAP_S = 10;

/**
 * Where the slider stands, in words.
 * @param {Record<string, string>} catalogue
 * @param {Axis} axis
 * @param {Range[]} marks
 * @param {number} now
 * @param {string} language
 */
export function spoken(catalogue, axis, marks, now, language) {
  const time = fill(catalogue["ui.wave.time"], { time: clock(now, language), total: clock(axis.total, language) }, language);
  const isUnheard = axis.pieces.some(({ heard, start, end }) => !heard && now >= start && now < end);
  const what = isWithin(marks, now) ? "ui.wave.marked" : isUnheard ? "ui.wave.unheard" : "";
  return what ? `${time}. ${catalogue[what]}` : time;
}

/**
 * @param {KeyboardEvent} event
 * @param {Player} player
 * @param {Axis} axis
 */
export function steer(event, player, { total }) {
  const now = player.seconds;
  const goals = /** @type {Record<string, number>} */ ({
    ArrowRight: now + STEP_S,
    ArrowUp: now + STEP_S,
    ArrowLeft: now - STEP_S,
    ArrowDown: now - STEP_S,
    PageUp: now + LEAP_S,
    PageDown: now - LEAP_S,
    Home: 0,
    End: total,
  });
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") toggle(player);
  else if (event.key in goals) player.seek(Math.min(total, Math.max(0, goals[event.key])));
  else return;
  event.preventDefault();
}

/** @param {Player} player */
export function toggle(player) {
  if (player.isPlaying) player.pause();
  else player.play();
}

/**
 * @param {PointerEvent} event
 * @param {Player} player
 * @param {Axis} axis
 */
export function drag(event, player, axis) {
  const canvas = /** @type {HTMLElement} */ (event.currentTarget);
  if (event.type === "pointerdown" && event.button === 0) canvas.setPointerCapture(event.pointerId);
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  const { left, width } = canvas.getBoundingClientRect();
  player.seek(secondsAt(axis, Math.min(1, Math.max(0, (event.clientX - left) / width))));
}
