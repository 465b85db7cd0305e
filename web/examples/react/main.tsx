import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { PrelistenCheck } from "@prelisten/widget/react";
import type { Result } from "@prelisten/widget";

function Form() {
  const [result, setResult] = useState<Result | null>(null);
  const [title, setTitle] = useState("");
  const [told, tell] = useState("");

  async function send(form: FormData) {
    const answer = await fetch("/submit", { method: "POST", body: form });
    tell(answer.ok ? "It was sent." : "It could not be sent. Please try again.");
  }

  return (
    <form action={send}>
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
