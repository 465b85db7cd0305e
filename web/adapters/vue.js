// @ts-check
// Vue 3: the element as a component, with typed properties and events, and its result as `v-model:result`.
import { defineComponent, h, onMounted, ref } from "vue";
import { load } from "./hint.js";

const EVENTS = ["start", "statechange", "progress", "result", "sealed", "error"];
const TEXTS = ["action", "appearance", "auto", "endpoint", "name", "preload", "seal", "session", "show", "test", "theme"];
const OTHERS = { declare: Boolean, disabled: Boolean, provenance: Boolean, record: Boolean, maxSeconds: Number, wait: Number };

export const PrelistenCheck = defineComponent({
  name: "PrelistenCheck",
  props: {
    .../** @type {Record<string, StringConstructor>} */ (Object.fromEntries(TEXTS.map((name) => [name, String]))),
    ...OTHERS,
    waveform: String,
    workerSrc: String,
    script: String,
    modelValue: String,
    result: Object,
  },
  emits: [...EVENTS, "update:modelValue", "update:result"],
  setup(props, { emit, expose, slots }) {
    /** @type {import("vue").Ref<any>} */
    const element = ref(null);
    const model = () => {
      emit("update:modelValue", element.value?.value ?? "");
      emit("update:result", element.value?.result ?? null);
    };
    const listeners = Object.fromEntries(
      EVENTS.map((name) => [`onPrelisten-${name}`, (/** @type {Event} */ event) => {
        emit(/** @type {any} */ (name), event);
        if (name !== "start" && name !== "progress") model();
      }]),
    );
    expose({ element });
    onMounted(() => load(props.script).catch(() => {})); // The form works without it.
    return () => h("prelisten-check", { ref: element, ...attributes(props), ...listeners }, slots.default?.());
  },
});

/**
 * @param {Record<string, any>} props
 * @returns {Record<string, any>} as attributes (`^`), also before the element is defined
 */
function attributes({ script, modelValue, result, ...options }) {
  const named = Object.entries(options).map(([name, value]) => {
    const attribute = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return [`^${attribute}`, value === false ? null : value === true ? "" : value];
  });
  return Object.fromEntries(named);
}
