import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import Tus from "@uppy/tus";
import { Prelisten } from "@prelisten/widget/uppy";
import { WORDS, tell } from "../words.js";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";

const uppy = new Uppy({ restrictions: { allowedFileTypes: ["audio/*", "video/*"] } });
uppy.use(Dashboard, { target: "#uploads", inline: true, width: "100%", height: 360, theme: "auto" });
uppy.use(Tus, { endpoint: "/files" });
uppy.use(Prelisten, { name: "voice-hint", action: "voice-upload", onResult: ({ band }) => tell(WORDS[band]) });
