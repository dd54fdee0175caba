// The server's side: requests with the token, answers unpacked, and every failure as a Trouble.

const TOKEN = "cgrseg-token";

/** What went wrong: a kind the page knows what to do about, and a sentence for people. */
export class Trouble extends Error {
  constructor(kind, sentence, retryAfter = null) {
    super(sentence);
    Object.assign(this, { kind, retryAfter });
  }
}

const KINDS = { 0: "gone", 401: "token", 413: "large", 429: "busy", 503: "busy", 504: "late" };

/** Keep the token as long as this window is open. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** The models, the default one and the limits. */
export async function askModels() {
  return readJson(await ask("v1/models"));
}

/** Names of the images to try. */
export async function askExamples() {
  return readJson(await ask("v1/examples"));
}

/** One of the images to try, as a file. */
export async function askExample(name) {
  const { body } = await ask(`v1/examples/${encodeURIComponent(name)}`);
  return new File([body], name, { type: body.type });
}

/** A file segmented into one of the formats of the service, as a Blob. */
export async function askFor(file, model, format) {
  return (await ask(segmentAt(model, format), { file })).body;
}

/** Labels and confidence of a file, one byte for each pixel. `onSent` hears which share was sent. */
export async function askMaps(file, model, { onSent, signal }) {
  const { body, header } = await ask(segmentAt(model, "maps"), { file, onSent, signal });
  const [height, width] = [Number(header("X-Height")), Number(header("X-Width"))];
  const stream = body.stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (bytes.length !== 2 * height * width) throw new Trouble("broken", "the answer is not complete");
  return { height, width, labels: bytes.subarray(0, height * width), confidence: bytes.subarray(height * width) };
}

function segmentAt(model, format) {
  return `v1/segment?${new URLSearchParams({ model, format })}`;
}

async function readJson({ body }) {
  try {
    return JSON.parse(await body.text());
  } catch {
    throw new Trouble("broken", "the server answered with something that is not JSON");
  }
}

/** One request. XMLHttpRequest, since fetch cannot tell how much of a body was sent. */
function ask(address, { file = null, onSent, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(file ? "POST" : "GET", address);
    request.responseType = "blob";
    const token = sessionStorage.getItem(TOKEN);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    if (file) request.setRequestHeader("Content-Type", "application/octet-stream");
    if (onSent) request.upload.onprogress = ({ loaded, total }) => onSent(total ? loaded / total : 0);
    request.onerror = () => reject(new Trouble("gone", ""));
    request.onload = () => answer(request).then(resolve, reject);
    signal?.addEventListener("abort", () => { request.abort(); reject(signal.reason); }, { once: true });
    request.send(file);
  });
}

async function answer(request) {
  const header = (name) => request.getResponseHeader(name);
  if (request.status === 200) return { body: request.response, header };
  const retryAfter = Number(header("Retry-After")) || null;
  const kind = KINDS[request.status] ?? (request.status >= 500 ? "broken" : "image");
  throw new Trouble(kind === "busy" && !retryAfter ? "failed" : kind, await sentence(request), retryAfter);
}

async function sentence(request) {
  try {
    return JSON.parse(await request.response.text()).error ?? "";
  } catch {
    return `the server answered ${request.status}`;
  }
}
