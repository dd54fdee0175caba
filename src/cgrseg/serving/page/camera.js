// A photo from the camera; where a page may not see one, the device's own camera app.

import { button, find, make } from "./elements.js";
import { Trouble } from "./server.js";

const REFUSED = {
  NotAllowedError: "The camera was not allowed. Allow it beside this page's address, or choose an image instead.",
  NotFoundError: "This device has no camera. Choose an image instead.",
  NotReadableError: "Another program is using the camera. Close it there, or choose an image instead.",
};

/** Take a photo; `onFile` gets it. The browser shows cameras to pages of https and of this machine only. */
export async function photograph(onFile) {
  if (!navigator.mediaDevices?.getUserMedia) {
    find("capture").click();
    return;
  }
  const stream = await open("environment");
  const file = await aim(stream);
  if (file) onFile(file);
}

async function open(facingMode) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode, width: { ideal: 1920 }, height: { ideal: 1080 } } });
  } catch (error) {
    throw new Trouble("camera", REFUSED[error.name] ?? `The camera could not be opened (${error.name}). Choose an image instead.`);
  }
}

/** Show what the camera sees until a photo is taken; null if it is put away. */
function aim(stream) {
  return new Promise((resolve) => {
    const video = make("video", { autoplay: true, playsinline: true, "aria-label": "What the camera sees" });
    video.muted = true;
    video.srcObject = stream;
    let taken = null;
    const dialog = make("dialog", { class: "camera", "aria-label": "Camera" }, video, make("div", { class: "buttons" },
      button("Cancel", () => dialog.close()),
      button("Take the photo", async () => { taken = await grab(video); dialog.close(); }, { class: "primary", autofocus: true })));
    dialog.addEventListener("close", () => {
      stream.getTracks().forEach((track) => track.stop());
      dialog.remove();
      resolve(taken);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

async function grab(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.93));
  return blob && new File([blob], "photo.jpg", { type: blob.type });
}
