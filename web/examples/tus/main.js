import { Upload } from "tus-js-client";
import { withHint } from "@prelisten/widget/tus";
import { WORDS, tell } from "../words.js";

const form = document.querySelector("form");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = form.elements.voice.files;
  const upload = new Upload(file, {
    endpoint: "/files",
    metadata: { filename: file.name, filetype: file.type },
    onSuccess: () => {
      tell(`${heard} It was sent.`);
      form.reset();
    },
    onError: () => tell("The recording could not be sent. Please try again."),
  });
  const { result } = await withHint(upload, { name: "voice-hint", action: "voice-upload" });
  const heard = result ? WORDS[result.band] : "";
  tell(`${heard} It is being sent.`);
  upload.start();
});
