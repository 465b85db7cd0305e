import * as FilePond from "filepond";
import { prelisten, withHint } from "@prelisten/widget/filepond";
import { WORDS, tell } from "../words.js";
import "filepond/dist/filepond.min.css";

FilePond.registerPlugin(prelisten({ action: "voice-upload", onResult: ({ band }) => tell(WORDS[band]) }));
FilePond.create(document.querySelector("#voice"), {
  name: "voice",
  credits: false,
  instantUpload: false,
  allowMultiple: true,
  allowRevert: false,
  server: { process: { url: "/submit", ondata: withHint }, revert: null },
});
