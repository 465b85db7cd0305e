// @ts-check
/** The playground: a control for each attribute that the element's manifest names, the element, and the HTML for it. */

/** @typedef {{ name: string, description: string, type: { text: string }, default?: string }} Attribute */

const TAG = "prelisten-check";
const LANGUAGE = "lang";

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const controls = /** @type {HTMLFormElement} */ (byId("controls"));
const trial = /** @type {HTMLFormElement} */ (byId("trial"));
const manifest = await (await fetch(String(controls.dataset.manifest))).json();
/** @type {Attribute[]} */
const attributes = manifest.modules[0].declarations[0].attributes;

/** @param {Attribute} attribute */
function control({ name, type, default: usual = "" }) {
  const values = [...type.text.matchAll(/"([^"]+)"/g)].map(([, value]) => value);
  if (values.length) return choice(["", ...values.filter((value) => value !== usual)], usual || "not set");
  const input = document.createElement("input");
  if (type.text === "boolean") input.type = "checkbox";
  else input.placeholder = usual;
  if (type.text === "number") input.inputMode = "numeric";
  return input;
}

/**
 * @param {string[]} values
 * @param {string} usual what the empty value stands for
 */
function choice(values, usual) {
  const select = document.createElement("select");
  select.append(...values.map((value) => new Option(value || usual, value)));
  return select;
}

/**
 * @param {string} name
 * @param {string} description
 * @param {HTMLInputElement | HTMLSelectElement} input
 */
function row(name, description, input) {
  const line = document.createElement("div");
  const label = document.createElement("label");
  const help = document.createElement("small");
  line.id = name;
  input.id = `set-${name}`;
  input.name = name;
  label.htmlFor = input.id;
  label.textContent = name;
  help.id = `about-${name}`;
  help.textContent = description;
  input.setAttribute("aria-describedby", help.id);
  line.append(label, input, help);
  return line;
}

/** @returns {[string, string][]} the attributes that are set; an empty text stands for a bare attribute */
function chosen() {
  return [...controls.elements].flatMap((field) => {
    const input = /** @type {HTMLInputElement} */ (field);
    if (input.type === "checkbox") return input.checked ? [[input.name, ""]] : [];
    return input.value ? [[input.name, input.value]] : [];
  });
}

/** @param {string} text */
const quoted = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

/** @param {[string, string][]} set */
function markup(set) {
  const written = set.map(([name, value]) => ` ${name}${value && `="${quoted(value)}"`}`).join("");
  return `<script type="module" src="/prelisten/v1/widget.js"></script>
<label for="v">Your recording</label>
<${TAG}${written}>
  <input id="v" type="file" name="voice" accept="audio/*,video/*" required>
</${TAG}>`;
}

function show() {
  const set = chosen();
  const element = document.createElement(TAG);
  for (const [name, value] of set) element.setAttribute(name, value);
  const input = document.createElement("input");
  Object.assign(input, { id: "sample", type: "file", name: "voice", accept: "audio/*,video/*", required: true });
  element.append(input);
  byId("stage").replaceChildren(element);
  byId("code").textContent = markup(set);
  byId("entries").textContent = "";
  history.replaceState(null, "", `?${new URLSearchParams(set)}${location.hash}`);
}

/** @param {[string, FormDataEntryValue]} entry */
function told([name, value]) {
  if (value instanceof File) return `${name}: ${value.name}, ${value.size} bytes`;
  return `${name}: ${value.slice(0, 40)}${value.length > 40 ? "…" : ""}`;
}

const languages = ["", ...String(controls.dataset.languages).split(" ").filter((language) => language !== "en")];
controls.append(
  ...attributes.map((attribute) => row(attribute.name, attribute.description, control(attribute))),
  row(LANGUAGE, "The language, as of any element: its own, or of what stands around it.", choice(languages, "en")),
);
for (const [name, value] of new URLSearchParams(location.search)) {
  const field = /** @type {HTMLInputElement | null} */ (controls.elements.namedItem(name));
  if (field?.type === "checkbox") field.checked = true;
  else if (field) field.value = value;
}
controls.addEventListener("change", show);
controls.addEventListener("submit", (event) => event.preventDefault());
trial.addEventListener("submit", (event) => {
  event.preventDefault();
  byId("entries").textContent = [...new FormData(trial)].map(told).join("\n");
});
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(String(byId("code").textContent));
  byId("copied").textContent = "Copied";
});
show();
// The controls were not there yet when the browser looked for the place.
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
