// Gets a topic's pictures: the one that is due first, then those around it. A few are held.

import {sizeOf} from "./server.js";

const HELD_BYTES = 192e6; // of all topics
const AT_ONCE = 2; // questions of one topic
const IN_ALL = 5; // of all topics: browsers open six connections to a host

export class Feeds {
  constructor(server, onFailure) {
    this.server = server;
    this.onFailure = onFailure;
    this.feeds = [];
    this.asked = 0;
    this.turn = 0;
  }

  add(topic) {
    const feed = new Feed(this, topic);
    this.feeds.push(feed);
    return feed;
  }

  // Ask for what is wanted most, by turns. Newest first: what nobody waits for any more is never asked for.
  pump() {
    const count = this.feeds.length;
    for (const ahead of [false, true]) {
      for (let i = 0; i < count && this.asked < IN_ALL; i++) {
        const feed = this.feeds[(this.turn + i) % count];
        const run = feed.next(ahead);
        if (run === null) continue;
        this.turn = (this.turn + i + 1) % count;
        feed.ask(run);
      }
    }
  }
}

export class Feed {
  constructor(feeds, topic) {
    this.feeds = feeds;
    this.topic = topic;
    this.held = new Map(); // index -> {picture, label, variant}
    this.failed = new Map(); // index -> message
    this.inFlight = new Map(); // index -> AbortController
    this.questions = 0;
    this.bytes = 1e6;
    this.shown = -1;
    this.target = -1;
    this.around = [];
    this.series = null;
    this.variant = "";
    this.latencyMs = 30;
    this.onPicture = () => {};
  }

  // What is on screen now, what is to be asked for, and what may be next; -1 is nothing. While playing, `series` is what comes: {stride, count}.
  want(shown, index, around, series = null) {
    this.shown = shown;
    this.target = index;
    this.around = around;
    this.series = series;
  }

  // Pictures of another size, range or side are other pictures.
  setVariant(variant) {
    if (variant === this.variant) return;
    this.variant = variant;
    for (const controller of new Set(this.inFlight.values())) controller.abort();
    this.clear();
  }

  clear() {
    for (const {picture} of this.held.values()) picture.close();
    this.held.clear();
    this.failed.clear();
  }

  // What to ask for now: {first, count, stride}, or null.
  next(ahead) {
    if (!this.variant || this.questions >= AT_ONCE) return null;
    if (this.series) return this.#nextOfSeries(ahead);
    if (this.#wants(this.target)) return {first: this.target, count: 1, stride: 1};
    if (!ahead || this.questions) return null;
    const index = this.around.find(each => this.#wants(each));
    return index === undefined ? null : {first: index, count: 1, stride: 1};
  }

  // Whole runs: a question for each frame would spend its time on the way.
  #nextOfSeries(ahead) {
    const {stride, count} = this.series;
    let first = this.target;
    let at = 0;
    while (at < count && !this.#wants(first)) {
      first += stride;
      at++;
    }
    if (at >= (ahead ? count / 2 : 1)) return null;
    let length = 0;
    while (length < count && this.#wants(first + length * stride)) length++;
    return length ? {first, count: length, stride} : null;
  }

  #wants(index) {
    return index >= 0 && index < this.topic.frames && !this.held.has(index) && !this.inFlight.has(index) && !this.failed.has(index);
  }

  async ask({first, count, stride}) {
    const controller = new AbortController();
    const variant = this.variant;
    const {server} = this.feeds;
    const began = performance.now();
    const indices = Array.from({length: count}, (_, at) => first + at * stride);
    for (const index of indices) this.inFlight.set(index, controller);
    this.feeds.asked++;
    this.questions++;
    try {
      const found = count > 1
        ? await server.run(this.topic.id, first, count, stride, variant, controller.signal)
        : [await server.frame(this.topic.id, first, variant, controller.signal)];
      // What comes too late is of no use: slower is believed at once, faster by and by.
      const tookMs = performance.now() - began;
      this.latencyMs = Math.max(tookMs, this.latencyMs + 0.15 * (tookMs - this.latencyMs));
      for (const frame of found) {
        if (frame.label.error) this.failed.set(frame.label.index, frame.label.error);
        else if (variant === this.variant) this.#hold(frame.label.index, {...frame, variant});
        else frame.picture.close();
      }
    } catch (error) {
      if (error.name !== "AbortError" && variant === this.variant) {
        if (error.status === 0 || error.status === 410) this.feeds.onFailure(error);
        for (const index of indices) this.failed.set(index, error.message);
      }
    } finally {
      for (const index of indices) if (this.inFlight.get(index) === controller) this.inFlight.delete(index);
      this.feeds.asked--;
      this.questions--;
      this.onPicture();
      this.feeds.pump();
    }
  }

  #hold(index, found) {
    this.held.get(index)?.picture.close();
    this.held.set(index, found);
    const [width, height] = sizeOf(found.picture);
    this.bytes = 4 * width * height;
    // What is farthest from what is shown goes, what was shown before what comes.
    const far = each => each < this.shown ? 3 * (this.shown - each) : each - this.shown;
    while (this.held.size > this.most) {
      const old = [...this.held.keys()].reduce((worst, each) => far(each) > far(worst) ? each : worst);
      this.held.get(old).picture.close();
      this.held.delete(old);
    }
  }

  // How many pictures may be held.
  get most() {
    return Math.min(Math.max(8, Math.floor(HELD_BYTES / this.feeds.feeds.length / this.bytes)), 64);
  }

  // The held picture nearest to a frame, not after it if `before`.
  nearest(index, before) {
    let best = null;
    for (const held of this.held.keys()) {
      if (before && held > index) continue;
      if (best === null || Math.abs(held - index) < Math.abs(best - index)) best = held;
    }
    return best;
  }
}
