// What the server is asked. Paths are relative: they lie under the key in the page's own address.

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, signal) {
  let answer;
  try {
    answer = await fetch(path, {signal});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "the viewer does not answer");
  }
  if (answer.ok) return answer;
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).error;
  } catch {
    // Not ours: the status has to do.
  }
  throw new ServerError(answer.status, message);
}

// A JPEG file as what a canvas draws. A third of the time of createImageBitmap, where a browser has it.
async function decoded(jpeg) {
  if (!("ImageDecoder" in window)) return createImageBitmap(new Blob([jpeg], {type: "image/jpeg"}));
  const decoder = new ImageDecoder({data: jpeg, type: "image/jpeg"});
  try {
    return (await decoder.decode()).image;
  } finally {
    decoder.close();
  }
}

// Its width and height, as either of the two has them.
export function sizeOf(picture) {
  return [picture.displayWidth ?? picture.width, picture.displayHeight ?? picture.height];
}

export async function session(recording) {
  return (await ask(`api/session?recording=${recording}`)).json();
}

// Asks about one session: what is replaced is another one.
export class Server {
  constructor(number) {
    this.base = `api/${number}`;
  }

  async column(kind, id) {
    const bytes = await (await ask(`${this.base}/${kind}/${id}`)).arrayBuffer();
    return new ({times: Float64Array, marks: Uint8Array, psnr: Float32Array}[kind])(bytes);
  }

  // A frame's picture, and its label, which comes with it.
  async frame(id, index, variant, signal) {
    const answer = await ask(`${this.base}/frame/${id}/${index}?${variant}`, signal);
    const label = JSON.parse(answer.headers.get("X-Mediaref-Frame"));
    return {picture: await decoded(await answer.arrayBuffer()), label};
  }

  // Several frames at once, each `stride`th: what is a question each would wait for the way there and back.
  async run(id, first, count, stride, variant, signal) {
    const answer = await ask(`${this.base}/run/${id}/${first}?n=${count}&stride=${stride}&${variant}`, signal);
    const bytes = await answer.arrayBuffer();
    const view = new DataView(bytes);
    let at = 0;
    const part = () => {
      const begin = at + 4;
      at = begin + view.getUint32(at, true);
      return new Uint8Array(bytes, begin, at - begin);
    };
    const frames = [];
    while (at < bytes.byteLength) {
      const label = JSON.parse(new TextDecoder().decode(part()));
      const jpeg = part();
      frames.push(label.error ? {label} : decoded(jpeg).then(picture => ({picture, label})));
    }
    return Promise.all(frames);
  }

  async about(what, id, index, query = "") {
    return (await ask(`${this.base}/${what}/${id}/${index}${query}`)).json();
  }

  png(id, index) {
    return `${this.base}/png/${id}/${index}`;
  }
}
