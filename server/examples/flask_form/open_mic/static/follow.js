// Asks how far the listening is, and shows the page anew when there is a decision.
const post = document.querySelector("#post");
const progress = document.querySelector("#progress");

async function ask() {
  const answer = await fetch(post.dataset.status).catch(() => null);
  const status = answer?.ok ? await answer.json() : null;
  if (status?.state === "decided" || answer?.status === 410) return location.reload();
  if (answer && answer.status >= 400 && answer.status < 500) return; // Nothing to follow any more.
  const text = status?.progress?.text;
  if (text && progress && progress.textContent !== text) progress.textContent = text; // Each change is read aloud.
  setTimeout(ask, 1000);
}

ask();
