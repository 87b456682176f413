// A topic's frames in time. Which one is on screen is told by their log times alone, as the reader does it.

export class Topic {
  constructor(about, times) {
    Object.assign(this, about); // id, name, frames, width, height, sort, compare, quoted
    this.times = times; // Float64Array, ns since the first frame of all
    this.marks = null;
    this.psnr = null;
    this.shown = true;
  }

  // How many frames come before a time, or at it.
  countAt(ns) {
    let low = 0, high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= ns) low = middle + 1; else high = middle;
    }
    return low;
  }

  // The frame on screen at a time: the last that came at it or before; -1 before the first.
  indexAt(ns) {
    return this.countAt(ns) - 1;
  }

  // The frame that a clock shows, which may be one of several of the same time.
  indexOn(clock, ns) {
    return clock.pinned && clock.pinned.topic === this ? clock.pinned.index : this.indexAt(ns);
  }
}
