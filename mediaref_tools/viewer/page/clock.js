// One clock in log time: integer ns since the first frame of all. It waits for no picture.

export const SPEEDS = [0.1, 0.125, 0.25, 0.5, 1, 2, 4, 8];

export class Clock extends EventTarget {
  constructor(durationNs) {
    super();
    this.durationNs = durationNs;
    this.rate = 1;
    this.loop = false;
    this.range = null; // [from, to) in ns
    this.playing = false;
    this.pinned = null; // {topic, index}: a frame that was stepped to and shares its time with others
    this.fromNs = 0;
    this.sinceMs = 0;
  }

  // The time now. Comes to the end, or begins again, when that is asked.
  get ns() {
    if (!this.playing) return this.fromNs;
    const [begin, end] = this.#bounds();
    const elapsed = (performance.now() - this.sinceMs) * 1e6 * this.rate;
    const now = Math.floor(this.fromNs + elapsed);
    if (now < end) return now;
    if (this.loop) {
      this.#restart(begin + ((now - begin) % Math.max(1, end - begin)));
      return this.fromNs;
    }
    this.#restart(end - 1);
    this.playing = false;
    this.#changed();
    return this.fromNs;
  }

  play() {
    if (this.playing) return;
    const [begin, end] = this.#bounds();
    const now = this.fromNs;
    this.#restart(now >= end - 1 || (this.range && now < begin) ? begin : now);
    this.playing = true;
    this.pinned = null;
    this.#changed();
  }

  pause() {
    if (!this.playing) return;
    this.#restart(this.ns);
    this.playing = false;
    this.#changed();
  }

  toggle() {
    if (this.playing) this.pause(); else this.play();
  }

  seek(ns, pinned = null) {
    this.#restart(Math.round(Math.min(Math.max(ns, 0), this.durationNs - 1)));
    this.pinned = pinned;
    this.#changed();
  }

  setRate(rate) {
    this.#restart(this.ns);
    this.rate = rate;
    this.#changed();
  }

  faster(by) {
    const at = SPEEDS.reduce((best, speed, i) => Math.abs(speed - this.rate) < Math.abs(SPEEDS[best] - this.rate) ? i : best, 0);
    this.setRate(SPEEDS[Math.min(Math.max(at + by, 0), SPEEDS.length - 1)]);
  }

  setRange(range) {
    this.range = range && range[1] > range[0] ? range : null;
    this.#changed();
  }

  setLoop(loop) {
    this.loop = loop;
    this.#changed();
  }

  #bounds() {
    return this.range && this.loop ? this.range : [0, this.durationNs];
  }

  #restart(ns) {
    this.fromNs = ns;
    this.sinceMs = performance.now();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
