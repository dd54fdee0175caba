// A file as something to draw: upright as its camera says, and no larger than a canvas should be.

const MOST_PIXELS = 12e6;
const MOST_SIDE = 4096;

/** The drawn image and its true upright size; null if this browser cannot show such a file. */
export async function readImage(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return drawBounded(image);
  } catch {
    return null; // the server knows more formats than browsers do
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function drawBounded(image) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const shrink = Math.min(1, MOST_SIDE / Math.max(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * shrink));
  canvas.height = Math.max(1, Math.round(height * shrink));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return { canvas, width, height };
}
