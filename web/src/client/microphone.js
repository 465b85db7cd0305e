// @ts-check
// In the audio thread beside the recorder: hands on what the microphone hears, mono, a quarter of a second at a time.

const CHUNK_S = 0.25;

registerProcessor(
  "prelisten-microphone",
  class extends AudioWorkletProcessor {
    #chunk = new Float32Array(Math.round(CHUNK_S * sampleRate));
    #filled = 0;

    /** @param {Float32Array[][]} inputs one, of as many channels as the microphone has */
    process([channels]) {
      for (let i = 0; i < (channels[0]?.length ?? 0); i += 1) {
        this.#chunk[this.#filled] = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
        this.#filled += 1;
        if (this.#filled === this.#chunk.length) this.#send();
      }
      return true;
    }

    #send() {
      const full = this.#chunk;
      this.#chunk = new Float32Array(full.length);
      this.#filled = 0;
      this.port.postMessage(full, [full.buffer]);
    }
  },
);
