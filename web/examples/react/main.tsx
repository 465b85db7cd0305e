import { StrictMode, type SubmitEvent, useState } from "react";
import { createRoot } from "react-dom/client";
import { PrelistenCheck } from "@prelisten/widget/react";
import type { Result } from "@prelisten/widget";

function Form() {
  const [result, setResult] = useState<Result | null>(null);
  const [title, setTitle] = useState("");
  const [told, tell] = useState("");

  // Not as an action: React would reset the form after it, and with it the recording that could not be sent.
  async function send(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    try {
      const answer = await fetch("/submit", { method: "POST", body: new FormData(form) });
      if (!answer.ok) throw new Error(answer.statusText);
      form.reset();
      setTitle("");
      tell("It was sent.");
    } catch {
      tell("It could not be sent. Please try again.");
    }
  }

  return (
    <form onSubmit={send}>
      <label htmlFor="title">Title</label>
      <input id="title" name="title" value={title} onChange={(event) => setTitle(event.target.value)} />
      <label htmlFor="voice">Your recording</label>
      <PrelistenCheck action="voice-upload" onResult={(event) => setResult(event.detail)}>
        <input id="voice" name="voice" type="file" accept="audio/*,video/*" required />
      </PrelistenCheck>
      <button>Send</button>
      <p role="status">{told || (result && `Listened to ${Math.round(result.coverage.analysed_s)} seconds.`)}</p>
    </form>
  );
}

createRoot(document.querySelector("#form")!).render(
  <StrictMode>
    <Form />
  </StrictMode>,
);
