// Verify a Prelisten hint from Node (20 or newer), without dependencies.
//
// As a module:   import { verify, sha256Of } from "./verify.mjs";
// As a command:  node verify.mjs FILE TOKEN [ACTION [SESSION]]     exit status: 0 verified, 1 not, 2 no answer
// As a server:   node verify.mjs --serve [PORT]                    takes the form's POST at /submit
//
// VERIFY_URL is where the API is, for example https://voice.example/prelisten/v1, and VERIFY_KEY an API key with
// the scope `verify`. The key stays on this side: no page ever sees it.
//
// `success` says that the token is good: fresh, intact, unused before this question, and about this very file. It never says that what the
// browser claims is true. Without success, whatever the reason: take the recording and screen it fully, as every one
// that comes without a hint.

import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { openAsBlob } from "node:fs";
import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";

const ATTEMPTS = 3;
const LONGEST_PAUSE_S = 30;
const TIMEOUT_MS = 30_000;
const MAX_FORM_BYTES = 64_000_000;

/** @typedef {{success: boolean, "error-codes": string[], codes: string[], challenge_ts: string|null,
 *   hostname: string|null, action: string|null, claim: object|null, recomputed: string, floor: string,
 *   repeated: boolean}} Answer */

/** The caller's own mistake: the key, the action or the request is wrong. Waiting does not help. */
export class VerifyError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.name = "VerifyError";
    this.status = status;
    this.code = code;
  }
}

/** @param {Blob} file @returns {Promise<string>} the SHA-256 of its bytes, which never lie in memory all at once */
export async function sha256Of(file) {
  const hash = createHash("sha256");
  for await (const piece of file.stream()) hash.update(piece);
  return hash.digest("hex");
}

/**
 * Ask what a token is worth. Give `sha256`, or `file` (a Blob) to have the recording listened to again.
 *
 * @param {{url: string, secret: string, response: unknown, action: string, sha256?: string, file?: Blob,
 *   session?: string, idempotencyKey?: string}} question
 * @returns {Promise<Answer|null>} `null` when nobody could be asked: screen the recording fully
 * @throws {VerifyError} for what the caller must mend
 */
export async function verify({ url, secret, response, action, sha256, file, session, idempotencyKey = randomUUID() }) {
  const fields = { response, action, session, idempotency_key: idempotencyKey };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    let answer;
    try {
      answer = await fetch(`${url}/verify`, {
        method: "POST",
        signal: AbortSignal.timeout(TIMEOUT_MS),
        redirect: "error", // The key is for this address and no other one.
        ...(file ? formOf(fields, file, secret) : jsonOf({ ...fields, sha256 }, secret)),
      });
      if (answer.ok) return /** @type {Answer} */ (await answer.json());
    } catch {
      await pause(attempt); // Lost on the way there or back: the same key makes the same question safe to repeat.
      continue;
    }
    const refusal = await answer.json().catch(() => ({}));
    if (answer.status !== 429 && answer.status < 500) {
      throw new VerifyError(answer.status, refusal.error?.code ?? "unknown", refusal.error?.message ?? "");
    }
    const seconds = Number(answer.headers.get("Retry-After") ?? attempt);
    if (!(seconds <= LONGEST_PAUSE_S)) return null;
    if (attempt < ATTEMPTS) await pause(seconds);
  }
  return null;
}

/** @param {Record<string, unknown>} fields @param {string} secret */
function jsonOf(fields, secret) {
  return {
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  };
}

/** @param {Record<string, unknown>} fields @param {Blob} file @param {string} secret */
function formOf(fields, file, secret) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (typeof value === "string") body.append(name, value);
  body.append("file", file, "recording");
  return { headers: { Authorization: `Bearer ${secret}` }, body };
}

/** @param {number} seconds */
function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/**
 * What a back end makes of an answer: whether the hint may be used at all, and how strict to be until the machines
 * have had their say. The recording is taken in any case.
 *
 * @param {Answer|null} answer
 */
export function meaning(answer) {
  if (answer === null) return { hint: "unknown", until_screened: "hold", why: ["no answer"] };
  const isGood = answer.success && answer.recomputed !== "mismatch";
  return { hint: isGood ? "good" : "none", until_screened: answer.floor, why: answer.codes };
}

/** A form's receiver: `<input type=file name=voice>` inside `<prelisten-check action=... session=...>`. */
export function receiver({ url, secret, action, sessionOf = () => undefined }) {
  return createServer(async (request, response) => {
    const tell = (status, body) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body) + "\n");
    };
    if (request.method !== "POST" || request.url !== "/submit") return tell(404, { error: "POST /submit" });
    if (!(Number(request.headers["content-length"]) <= MAX_FORM_BYTES)) return tell(413, { error: "too large" });
    let form;
    try {
      const type = String(request.headers["content-type"]);
      form = await new Response(Readable.toWeb(request), { headers: { "Content-Type": type } }).formData();
    } catch {
      return tell(400, { error: "this is no form" });
    }
    const voice = form.get("voice");
    if (!(voice instanceof Blob) || voice.size === 0) return tell(400, { error: "choose a recording" });
    try {
      const answer = await verify({
        url,
        secret,
        action,
        response: form.get("voice-hint"),
        sha256: await sha256Of(voice), // Of the bytes that came, never of what a page says about them.
        session: sessionOf(request),
      });
      tell(200, { bytes: voice.size, ...meaning(answer) }); // Here a back end would store the recording.
    } catch (error) {
      if (!(error instanceof VerifyError)) throw error;
      console.error(`verify: ${error.status} ${error.code}: ${error.message}`);
      tell(200, { bytes: voice.size, ...meaning(null) }); // Our mistake is not the sender's: the recording is taken.
    }
  });
}

async function main([first, ...rest]) {
  const { VERIFY_URL: url, VERIFY_KEY: secret } = process.env;
  if (!url || !secret || !first) {
    console.error("VERIFY_URL=... VERIFY_KEY=... node verify.mjs FILE TOKEN [ACTION [SESSION]] | --serve [PORT]");
    return 2;
  }
  if (first === "--serve") {
    const sessionOf = (request) => /(?:^|;\s*)session=([^;]*)/.exec(request.headers.cookie ?? "")?.[1];
    const server = receiver({ url, secret, action: "voice-upload", sessionOf });
    server.listen(Number(rest[0] ?? 0), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
    return undefined;
  }
  const [response, action = "voice-upload", session] = rest;
  try {
    const answer = await verify({ url, secret, response, action, session, file: await openAsBlob(first) });
    console.log(JSON.stringify(answer, null, 2));
    return answer === null ? 2 : answer.success ? 0 : 1;
  } catch (error) {
    console.error(error instanceof VerifyError ? `${error.code}: ${error.message}` : String(error));
    return 2;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = await main(process.argv.slice(2));
