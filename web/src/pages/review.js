// @ts-check
/** Play a marked place: from its start to its end, then stop. */

const player = /** @type {HTMLAudioElement | null} */ (document.querySelector("#player"));
let until = Infinity;

player?.addEventListener("timeupdate", () => {
  if (player.currentTime >= until) {
    player.pause();
    until = Infinity;
  }
});
// Whoever moves the slider wants to go on listening from there.
player?.addEventListener("seeked", () => {
  if (player.currentTime > until) until = Infinity;
});

for (const mark of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-seek]"))) {
  mark.addEventListener("click", () => {
    if (!player) return;
    until = Number(mark.dataset.until);
    player.currentTime = Number(mark.dataset.seek);
    void player.play();
  });
}
