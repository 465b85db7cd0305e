// Imported before a worker's own script: remembers every WebAssembly memory and tells their size when asked.

const memories = new Set();

const note = (object) => {
  for (const value of Object.values(object ?? {})) if (value instanceof WebAssembly.Memory) memories.add(value);
};

const noteAll = (imports, made) => {
  Object.values(imports ?? {}).forEach(note);
  note((made.instance ?? made).exports);
  return made;
};

WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
  construct(Native, parts) {
    const memory = Reflect.construct(Native, parts);
    memories.add(memory);
    return memory;
  },
});
for (const name of ["instantiate", "instantiateStreaming"]) {
  const native = WebAssembly[name];
  WebAssembly[name] = async (code, imports) => noteAll(imports, await native.call(WebAssembly, code, imports));
}
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct: (Native, [module, imports]) => noteAll(imports, Reflect.construct(Native, [module, imports])),
});

const channel = new BroadcastChannel("memory");
channel.onmessage = ({ data }) => {
  if (data.wasm !== undefined) return;
  const wasm = [...memories].reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
  channel.postMessage({ wasm });
};
