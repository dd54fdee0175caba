// The ways an image comes in: chosen, dropped anywhere, pasted.

import { find } from "./elements.js";

/** `onFile` gets a file; `onOther` hears that something else was dropped or pasted. */
export function takeIn(onFile, onOther) {
  for (const input of [find("file"), find("capture")]) {
    input.addEventListener("change", () => {
      if (input.files.length) onFile(input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
  }
  takeDropped(onFile, onOther);
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) onFile(file);
    else if (!event.target.closest?.("input")) onOther("There is no image in what was pasted. Copy an image itself, not its address.");
  });
}

function takeDropped(onFile, onOther) {
  const over = find("over");
  let depth = 0;
  const hover = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    over.hidden = depth === 0;
  };
  addEventListener("dragenter", hover(1));
  addEventListener("dragleave", hover(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over.hidden = true;
    const file = event.dataTransfer.files[0];
    if (file) onFile(file);
    else onOther("That was no file. Save the image first, then drop the file; addresses are not fetched.");
  });
}
