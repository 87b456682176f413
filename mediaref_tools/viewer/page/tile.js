// One topic on the page: its picture, with the label that belongs to it.

import {clockText, element, say, utcText} from "./dom.js";
import {DepthBar} from "./depthbar.js";
import {Lens} from "./lens.js";
import {sizeOf} from "./server.js";

const SIDES = ["decoded", "source", "difference", "all"];
const STALE_NS = 1e9;

export class Tile {
  // `page` is what tiles need of it: startNs, server, clock, select(tile), solo(tile).
  constructor(topic, feed, page) {
    Object.assign(this, {topic, feed, page});
    this.drawn = null; // the label of what is on the canvas
    this.side = "decoded";
    this.lastWanted = -1;
    [this.shown, this.due] = [0, 0];
    this.#build();
    this.context = this.canvas.getContext("2d", {alpha: false});
    this.lens = new Lens(this.stage, this.canvas, () => this.layout());
    this.depth = null;
    if (topic.sort !== "colour") {
      this.depth = new DepthBar(topic, () => this.layout());
      this.depth.auto.addEventListener("click", () => this.autoRange());
      this.stage.append(this.depth.node);
    }
    this.node.addEventListener("pointerdown", () => page.select(this));
    this.node.addEventListener("focusin", () => page.select(this));
    this.stage.addEventListener("dblclick", event => {
      if (!event.target.closest(".depthbar")) page.solo(this);
    });
    this.stage.addEventListener("pointermove", event => this.#hover(event));
    this.stage.addEventListener("pointerleave", () => this.#unhover());
  }

  #build() {
    const {topic} = this;
    this.canvas = element("canvas", {role: "img", "aria-label": topic.name, width: 16, height: 16});
    this.message = element("div", {class: "message", hidden: true});
    this.overlay = element("dl", {class: "overlay mono", hidden: true});
    this.value = element("div", {class: "value mono", hidden: true});
    this.sides = element("div", {class: "sides", hidden: true}, ...["source", "decoded", "difference ×8"].map(name => element("span", {}, name)));
    this.stage = element("div", {class: "stage"}, this.canvas, this.message, this.sides, this.overlay, this.value);
    this.name = element("span", {class: "name", title: topic.name}, element("bdi", {dir: "ltr"}, topic.name));
    this.place = element("span", {class: "mono dim place"});
    this.compare = topic.compare
      ? element("button", {type: "button", class: "small", title: "Decoded, source, difference, all three (d)", "aria-label": `${topic.name}: compare with the source`}, "decoded")
      : null;
    this.compare?.addEventListener("click", () => this.nextSide());
    this.node = element("section", {class: "tile", tabindex: "0", "aria-label": topic.name, "data-topic": topic.name},
      this.stage, element("div", {class: "caption"}, this.name, this.compare, this.place));
  }

  nextSide() {
    this.side = SIDES[(SIDES.indexOf(this.side) + 1) % SIDES.length];
    say(this.compare, this.side === "all" ? "side by side" : this.side);
    this.sides.hidden = this.side !== "all";
    this.layout();
  }

  async autoRange() {
    const index = this.drawn ? this.drawn.index : Math.max(0, this.lastWanted);
    try {
      this.depth.set(...(await this.page.server.about("range", this.topic.id, index)).range);
    } catch {
      this.depth.set(this.depth.low, this.depth.high); // the frame says itself that it can't be decoded
    }
  }

  // Fit the picture anew and ask for the size that is needed.
  layout() {
    const parts = this.side === "all" ? 3 : 1;
    const [width, height] = [this.drawn?.width || this.topic.width, this.drawn?.height || this.topic.height];
    this.lens.fit(width * parts, height);
    if (!this.stage.clientWidth) return;
    const needed = this.lens.width * this.lens.scale * (window.devicePixelRatio || 1);
    const wide = Math.min(Math.ceil(needed / 160) * 160, Math.max(width * parts, 16));
    if (this.depth && this.depth.high === 65535 && this.depth.low === 0 && !this.ranged) return; // its range is on its way
    this.feed.setVariant(`w=${wide}${this.depth ? this.depth.query() : ""}${this.side === "decoded" ? "" : `&side=${this.side}`}`);
    // What is on the canvas is of another size, range or side.
    if (this.drawn && this.variant !== this.feed.variant) this.node.dataset.pending = true;
    this.feed.feeds.pump();
  }

  // Show what is due at a time: the picture of that frame, or while it is on its way the best there is.
  show(ns, {playing, dragging}) {
    const {clock} = this.page;
    const wanted = this.topic.indexOn(clock, ns);
    if (playing && wanted > this.lastWanted && this.lastWanted >= 0) this.due += wanted - this.lastWanted;
    this.#want(wanted, ns, playing, dragging);
    this.lastWanted = wanted;
    if (wanted < 0) {
      const times = this.topic.times;
      return this.#tell(times.length ? `begins at ${clockText(times[0])}` : "no frames", true);
    }
    if (this.feed.failed.has(wanted)) return this.#tell(`frame ${wanted}: ${this.feed.failed.get(wanted)}`, false, wanted);
    let index = this.feed.held.has(wanted) ? wanted : null;
    if (index === null && playing) index = this.feed.nearest(wanted, true);
    if (index === null && dragging) index = this.feed.nearest(wanted, false);
    if (index !== null && playing && index < wanted && this.drawn && this.drawn.index <= wanted && index < this.drawn.index) index = null;
    if (index !== null) this.#draw(index, playing);
    const pending = !this.drawn || this.drawn.index !== wanted || this.variant !== this.feed.variant;
    this.node.classList.toggle("pending", pending && !playing);
    this.node.dataset.pending = pending;
    const stale = this.drawn && ns - this.topic.times[this.drawn.index] > STALE_NS;
    this.node.classList.toggle("stale", Boolean(stale) && wanted < this.topic.frames);
    if (this.drawn) this.message.hidden = true;
  }

  #want(wanted, ns, playing, dragging) {
    if (!playing) {
      this.feed.want(wanted, wanted, dragging ? [] : [wanted + 1, wanted - 1, wanted + 2, wanted - 2]);
      return;
    }
    const {clock} = this.page;
    const {feed, topic} = this;
    // Begin with what will be on screen when the answer is here, and take along what comes while it is on its way.
    const waitNs = clock.rate * Math.min(feed.latencyMs, 600) * 1e6;
    const due = Math.max(topic.indexAt(ns + waitNs), 0);
    const aheadNs = Math.min(Math.max(2 * waitNs, clock.rate * 150e6), clock.rate * 1e9);
    const coming = Math.max(topic.indexAt(ns + aheadNs) - due, 1);
    const turns = Math.max(1, aheadNs / clock.rate / 16.6e6); // screens don't show more
    const stride = Math.max(1, Math.round(coming / turns));
    feed.want(wanted, due, [], {stride, count: Math.min(Math.max(Math.ceil(coming / stride), 2), 6, feed.most >> 1)});
  }

  #draw(index, playing) {
    const {picture, label, variant} = this.feed.held.get(index);
    if (this.drawn?.index === index && this.picture === picture) return;
    if (playing && this.drawn?.index !== index) this.shown++;
    const [width, height] = sizeOf(picture);
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.context.drawImage(picture, 0, 0);
    const resized = !this.drawn || this.drawn.width !== label.width || this.drawn.height !== label.height;
    [this.drawn, this.picture, this.variant] = [label, picture, variant];
    // All that is said of the picture is said in the same turn.
    this.#label();
    this.node.classList.remove("failed");
    if (resized) this.layout();
  }

  #label() {
    const {drawn, topic} = this;
    this.node.dataset.index = drawn.index;
    say(this.place, `${drawn.index}/${topic.frames} · ${clockText(topic.times[drawn.index])}`);
    this.canvas.setAttribute("aria-label", `${topic.name}, frame ${drawn.index} of ${topic.frames}`);
    if (!this.overlay.hidden) this.#tellAll();
  }

  setOverlay(visible) {
    this.overlay.hidden = !visible;
    if (visible && this.drawn) this.#tellAll();
  }

  #tellAll() {
    const {drawn} = this;
    const rows = {
      topic: this.topic.name,
      frame: `${drawn.index} of ${this.topic.frames}`,
      "log time": `${drawn.log_time_ns}`,
      utc: utcText(BigInt(drawn.log_time_ns)),
      stamp: drawn.stamp_ns ?? "none",
      uri: drawn.uri ?? "none: in the log as it was",
      pts_ns: drawn.pts_ns ?? "null",
      psnr: drawn.psnr_db === null ? "unknown" : drawn.psnr_db === "inf" ? "identical" : `${drawn.psnr_db} dB`,
      stored: `${drawn.status}${drawn.keyframe ? ", keyframe" : ""}`,
      picture: `${drawn.width}×${drawn.height} ${drawn.kind}`,
    };
    this.overlay.replaceChildren(...Object.entries(rows).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
  }

  // A message where the picture would be.
  #tell(text, quiet, index = null) {
    say(this.message, text);
    this.message.hidden = false;
    this.message.classList.toggle("quiet", quiet);
    this.node.classList.toggle("failed", !quiet);
    this.node.classList.remove("pending", "stale");
    if (this.drawn) {
      this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
      this.drawn = this.picture = null;
      delete this.node.dataset.index;
      this.overlay.replaceChildren();
    }
    this.node.dataset.pending = false;
    say(this.place, index === null ? `-/${this.topic.frames}` : `${index}/${this.topic.frames}`);
  }

  #unhover() {
    this.value.hidden = true;
    this.cursor = null;
  }

  #hover(event) {
    this.cursor = [event.clientX, event.clientY];
    this.readValue();
  }

  // The value of the pixel under the cursor, of the frame that is drawn; one question at a time.
  async readValue() {
    const place = this.cursor && this.drawn ? this.lens.at(...this.cursor) : null;
    if (!place || this.side === "source" || this.side === "difference") return void (this.value.hidden = true);
    if (this.reading) return void (this.readAgain = true);
    const {index, width, height, unit} = this.drawn;
    const u = this.side === "all" ? (place[0] * 3) % 1 : place[0];
    const [x, y] = [Math.min(Math.floor(u * width), width - 1), Math.min(Math.floor(place[1] * height), height - 1)];
    this.reading = true;
    try {
      const {value} = await this.page.server.about("value", this.topic.id, index, `?x=${x}&y=${y}`);
      if (this.drawn?.index === index && this.cursor) {
        const text = this.depth ? this.depth.text(value[0], unit) : value.length === 3 ? `R ${value[0]}  G ${value[1]}  B ${value[2]}` : value.join(" ");
        say(this.value, `x ${x}  y ${y}   ${text}`);
        this.value.hidden = false;
      }
    } catch {
      this.value.hidden = true;
    } finally {
      this.reading = false;
      if (this.readAgain) {
        this.readAgain = false;
        this.readValue();
      }
    }
  }
}
