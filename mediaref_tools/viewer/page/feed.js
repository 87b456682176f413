// Gets a topic's pictures: the one that is due first, then those around it. A few are held.

const HELD_BYTES = 96e6; // of all topics
const AT_ONCE = 2; // of one topic
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
        const index = feed.next(ahead);
        if (index === null) continue;
        this.turn = (this.turn + i + 1) % count;
        feed.ask(index);
      }
    }
  }
}

export class Feed {
  constructor(feeds, topic) {
    this.feeds = feeds;
    this.topic = topic;
    this.held = new Map(); // index -> {picture, label}
    this.failed = new Map(); // index -> message
    this.inFlight = new Map(); // index -> AbortController
    this.target = -1;
    this.around = [];
    this.variant = "";
    this.latencyMs = 30;
    this.onPicture = () => {};
  }

  // What is to be shown, and what may be next. -1 is nothing.
  want(index, around) {
    this.target = index;
    this.around = around;
  }

  // Pictures of another size, range or side are other pictures.
  setVariant(variant) {
    if (variant === this.variant) return;
    this.variant = variant;
    for (const controller of this.inFlight.values()) controller.abort();
    this.clear();
  }

  clear() {
    for (const {picture} of this.held.values()) picture.close();
    this.held.clear();
    this.failed.clear();
  }

  next(ahead) {
    if (!this.variant || this.inFlight.size >= AT_ONCE) return null;
    if (this.#wants(this.target)) return this.target;
    if (!ahead || this.inFlight.size) return null;
    return this.around.find(index => this.#wants(index)) ?? null;
  }

  #wants(index) {
    return index >= 0 && index < this.topic.frames && !this.held.has(index) && !this.inFlight.has(index) && !this.failed.has(index);
  }

  async ask(index) {
    const controller = new AbortController();
    const variant = this.variant;
    const began = performance.now();
    this.inFlight.set(index, controller);
    this.feeds.asked++;
    try {
      const found = await this.feeds.server.frame(this.topic.id, index, variant, controller.signal);
      this.latencyMs += 0.2 * (performance.now() - began - this.latencyMs);
      if (variant === this.variant) this.#hold(index, found); else found.picture.close();
    } catch (error) {
      if (error.name !== "AbortError" && variant === this.variant) {
        if (error.status === 0 || error.status === 410) this.feeds.onFailure(error);
        this.failed.set(index, error.message);
      }
    } finally {
      if (this.inFlight.get(index) === controller) this.inFlight.delete(index);
      this.feeds.asked--;
      this.onPicture();
      this.feeds.pump();
    }
  }

  #hold(index, found) {
    this.held.get(index)?.picture.close();
    this.held.set(index, found);
    const bytes = 4 * found.picture.width * found.picture.height;
    const most = Math.max(6, Math.floor(HELD_BYTES / this.feeds.feeds.length / bytes));
    // The oldest go, but what is shown next stays.
    for (const old of this.held.keys()) {
      if (this.held.size <= Math.min(most, 60)) break;
      if (old === this.target || old === index) continue;
      this.held.get(old).picture.close();
      this.held.delete(old);
    }
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
