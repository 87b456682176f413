// A lane per topic with a tick per frame, drawn at the screen's resolution: gaps, rates, drops and segments at once.

import {clockText, element, say} from "./dom.js";

const LANE = 20; // CSS pixels
const EMBEDDED = 1, SEGMENT = 2;
const PSNR = [25, 50]; // dB at the bottom and the top of a lane

export class Lanes {
  // `page` is what lanes need of it: clock, select(topic), drag(on).
  constructor(node, topics, page) {
    Object.assign(this, {node, topics, page});
    this.width = 0;
    this.span = [0, page.clock.durationNs]; // what of the log is in view
    this.names = element("div", {class: "lane-names"});
    this.canvas = element("canvas", {"aria-hidden": "true"});
    this.head = element("div", {class: "playhead"});
    this.rangeNode = element("div", {class: "range", hidden: true});
    this.tip = element("div", {class: "tip mono", hidden: true});
    this.strip = element("div", {class: "strip"}, this.canvas, this.rangeNode, this.head, this.tip);
    node.append(this.names, this.strip);
    this.strip.addEventListener("pointerdown", event => this.#press(event));
    this.strip.addEventListener("pointermove", event => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.strip.addEventListener(end, event => this.#release(event));
    this.strip.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.strip.addEventListener("wheel", event => this.#wheel(event), {passive: false});
    this.strip.addEventListener("dblclick", () => this.setSpan(0, page.clock.durationNs));
    new ResizeObserver(() => this.draw()).observe(this.strip);
  }

  setSpan(from, to) {
    const whole = this.page.clock.durationNs;
    const length = Math.min(Math.max(to - from, Math.min(1e6, whole)), whole);
    from = Math.min(Math.max(from, 0), whole - length);
    this.span = [from, from + length];
    this.draw();
  }

  // Have a time in view, while the clock runs out of it.
  follow(ns) {
    const [from, to] = this.span;
    if (ns < from || ns >= to) this.setSpan(ns - 0.1 * (to - from), ns + 0.9 * (to - from));
  }

  zoom(factor, at = this.page.clock.ns) {
    const [from, to] = this.span;
    this.setSpan(at - (at - from) / factor, at + (to - at) / factor);
  }

  place(ns) {
    const [from, to] = this.span;
    return (ns - from) / (to - from) * this.width; // as it was drawn: to ask would be a layout a turn
  }

  time(clientX) {
    const box = this.strip.getBoundingClientRect();
    const [from, to] = this.span;
    return from + Math.min(Math.max((clientX - box.left) / box.width, 0), 1) * (to - from);
  }

  draw() {
    const shown = this.topics.filter(topic => topic.shown);
    const [width, height] = [this.strip.clientWidth, Math.max(1, shown.length) * LANE];
    this.width = width;
    if (!width) return;
    if (this.names.childElementCount !== shown.length || this.drawnFor !== shown.map(topic => topic.id).join()) {
      this.drawnFor = shown.map(topic => topic.id).join();
      this.names.replaceChildren(...shown.map(topic => {
        const button = element("button", {type: "button", class: "lane-name", title: `Select ${topic.name}`, tabindex: "-1"}, element("bdi", {dir: "ltr"}, topic.name));
        button.addEventListener("click", () => this.page.select(topic));
        return button;
      }));
    }
    const ratio = window.devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.strip);
    const colours = Object.fromEntries(["tick", "selected", "embedded", "segment", "psnr", "lane"].map(name => [name, style.getPropertyValue(`--${name}`).trim()]));
    shown.forEach((topic, row) => {
      this.#lane(context, topic, row * LANE * ratio, LANE * ratio, colours, ratio);
      this.names.children[row].classList.toggle("selected", topic === this.page.selected);
    });
    this.move(this.page.clock.ns);
  }

  #lane(context, topic, top, height, colours, ratio) {
    const width = context.canvas.width;
    const [from, to] = this.span;
    const pad = Math.round(2 * ratio);
    context.globalAlpha = 1;
    context.fillStyle = colours.lane;
    context.fillRect(0, top + pad, width, height - 2 * pad);
    // How many frames fall on each column: two lookups a column, however many frames there are.
    const edges = new Int32Array(width + 1);
    for (let x = 0; x <= width; x++) edges[x] = topic.countAt(from + (to - from) * x / width - 1e-3);
    let most = 1;
    for (let x = 0; x < width; x++) most = Math.max(most, edges[x + 1] - edges[x]);
    const tick = Math.max(1, Math.min(Math.round(ratio), Math.floor(width / Math.max(1, edges[width] - edges[0]) / 2)));
    context.fillStyle = topic === this.page.selected ? colours.selected : colours.tick;
    for (let x = 0; x < width; x++) {
      const count = edges[x + 1] - edges[x];
      if (!count) continue;
      context.globalAlpha = 0.45 + 0.55 * count / most;
      context.fillRect(x, top + pad, tick, height - 2 * pad);
    }
    context.globalAlpha = 1;
    if (topic.marks) this.#marks(context, topic, edges, top, height, pad, colours, ratio);
    if (topic.psnr) this.#curve(context, topic, edges, top, height, colours, ratio);
  }

  #marks(context, topic, edges, top, height, pad, colours, ratio) {
    const wide = Math.max(2, Math.round(1.5 * ratio));
    for (let x = 0; x < context.canvas.width; x++) {
      let marks = 0;
      for (let index = edges[x]; index < edges[x + 1]; index++) marks |= topic.marks[index];
      if (marks & EMBEDDED) {
        context.fillStyle = colours.embedded;
        context.fillRect(x, top + pad, wide, height - 2 * pad);
      }
      if (marks & SEGMENT) {
        context.fillStyle = colours.segment;
        context.fillRect(x, top, wide, height);
      }
    }
  }

  #curve(context, topic, edges, top, height, colours, ratio) {
    context.strokeStyle = colours.psnr;
    context.lineWidth = Math.max(1, 1.25 * ratio);
    context.beginPath();
    let pen = false;
    for (let x = 0; x < context.canvas.width; x++) {
      let worst = Infinity;
      for (let index = edges[x]; index < edges[x + 1]; index++) {
        if (topic.psnr[index] < worst) worst = topic.psnr[index];
      }
      if (edges[x + 1] === edges[x]) continue;
      if (!Number.isFinite(worst)) { pen = false; continue; }
      const part = Math.min(Math.max((worst - PSNR[0]) / (PSNR[1] - PSNR[0]), 0), 1);
      const y = top + height - 2 * ratio - part * (height - 4 * ratio);
      if (pen) context.lineTo(x, y); else context.moveTo(x, y);
      pen = true;
    }
    context.stroke();
  }

  // Move the playhead and the range: nothing is drawn anew.
  move(ns) {
    this.head.style.transform = `translateX(${this.place(ns)}px)`;
    const {range} = this.page.clock;
    this.rangeNode.hidden = !range;
    if (range) {
      const [from, to] = range.map(time => this.place(time));
      this.rangeNode.style.transform = `translateX(${from}px)`;
      this.rangeNode.style.width = `${to - from}px`;
    }
  }

  #topicAt(clientY) {
    const row = Math.floor((clientY - this.strip.getBoundingClientRect().top) / LANE);
    return this.topics.filter(topic => topic.shown)[row] ?? null;
  }

  #press(event) {
    if (event.button !== 0) return;
    this.strip.setPointerCapture(event.pointerId);
    this.dragging = event.shiftKey ? "range" : "time";
    this.from = this.time(event.clientX);
    const topic = this.#topicAt(event.clientY);
    if (topic) this.page.select(topic);
    if (this.dragging === "time") {
      this.page.drag(true);
      this.page.clock.seek(this.from);
    }
  }

  #move(event) {
    const now = this.time(event.clientX);
    if (this.dragging === "time") this.page.clock.seek(now);
    if (this.dragging === "range") this.page.clock.setRange([Math.min(this.from, now), Math.max(this.from, now)].map(Math.round));
    const topic = this.#topicAt(event.clientY);
    this.tip.hidden = !topic || event.pointerType === "touch";
    if (!topic) return;
    const index = topic.indexAt(now);
    const psnr = topic.psnr && index >= 0 ? topic.psnr[index] : NaN;
    const quality = Number.isNaN(psnr) ? "" : Number.isFinite(psnr) ? ` · ${psnr.toFixed(1)} dB` : " · identical";
    say(this.tip, `${clockText(now)} · ${topic.name} ${index < 0 ? "-" : index}${quality}`);
    const box = this.strip.getBoundingClientRect();
    const left = Math.min(Math.max(event.clientX - box.left - this.tip.offsetWidth / 2, 0), Math.max(0, box.width - this.tip.offsetWidth));
    this.tip.style.transform = `translateX(${left}px)`;
  }

  #release() {
    if (this.dragging === "time") this.page.drag(false);
    this.dragging = null;
  }

  #wheel(event) {
    event.preventDefault();
    const [from, to] = this.span;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.setSpan(from + sideways * (to - from) / 800, to + sideways * (to - from) / 800);
    else this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0025)), this.time(event.clientX));
  }
}
