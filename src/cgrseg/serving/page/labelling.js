// One image to its maps, with the patience a person would have: for a model that loads, and once for a busy server.

import { pause } from "./elements.js";
import { Trouble, askMaps } from "./server.js";

const LOOK_AGAIN = 700; // milliseconds, while a model loads
const LONGEST = 30; // seconds to wait for a busy server, whatever it says

/** The maps of a file. `refresh` gives the models as they are now, `say(text, share)` tells how far it is. */
export async function label(file, model, { refresh, say, signal }) {
  await becomesReady(model, { refresh, say, signal });
  const ask = () => {
    say("Sending the image", 0);
    return askMaps(file, model, { signal, onSent: (share) => (share < 1 ? say("Sending the image", share) : say("Labelling")) });
  };
  try {
    return await ask();
  } catch (trouble) {
    if (trouble.kind !== "busy") throw trouble;
    await countDown(Math.min(trouble.retryAfter, LONGEST), say, signal);
    return ask();
  }
}

async function becomesReady(name, { refresh, say, signal }) {
  for (;;) {
    const found = (await refresh()).find((model) => model.name === name);
    if (found.state === "ready") return;
    if (found.state === "failed") throw new Trouble("failed", `${name}: ${found.error}`);
    say(`${name} is still loading`);
    await pause(LOOK_AGAIN, signal);
  }
}

async function countDown(seconds, say, signal) {
  for (let left = Math.ceil(seconds); left > 0; left -= 1) {
    say(`The server is busy; trying again in ${left} s`);
    await pause(1000, signal);
  }
}
