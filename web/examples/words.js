// What the pages of the examples say of a band. Never "fake" or "real": the server decides.
export const WORDS = {
  clear: "No signs of synthetic speech were heard.",
  elevated: "Some signs of synthetic speech were heard.",
  high: "Strong signs of synthetic speech were heard. Genuine recordings can sound like this too.",
  inconclusive: "There was not enough clear speech to tell.",
};

/** @param {string} text */
export function tell(text) {
  const told = document.querySelector("#told");
  if (told) told.textContent = text;
}
