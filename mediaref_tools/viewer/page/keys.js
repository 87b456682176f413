// What each key does. The help lists the same table.

export const KEYS = [
  ["Space", "play, pause"],
  ["← → or , .", "one frame of the selected topic"],
  ["Shift + ← →", "one second"],
  ["Alt + ← →", "100 ms"],
  ["Home End", "first, last frame"],
  ["↑ ↓", "recording before, next, of a folder"],
  ["[ ] or - +", "slower, faster"],
  ["1 … 9", "select a topic"],
  ["Enter, f", "selected topic alone, and back"],
  ["Esc", "back to all topics"],
  ["a b x", "range begins, ends, none"],
  ["l", "loop, the range if there is one"],
  ["e", "copy a command that exports the range"],
  ["i", "what is known of each frame"],
  ["d", "decoded, source, difference, all three"],
  ["c p s", "copy MediaRef, copy Python, save PNG"],
  ["z Z 0", "zoom in, out, back"],
  ["g", "go to a time"],
  ["?", "this help"],
];

export class Keys {
  // `actions` are functions by name.
  constructor(actions) {
    this.actions = actions;
    window.addEventListener("keydown", event => this.#press(event));
  }

  #press(event) {
    const {target} = event;
    if (event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (typing) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const pressed = target.matches("button, summary, input[type=checkbox]") && (event.key === " " || event.key === "Enter");
    if (pressed) return; // the button's own
    if (this.#act(event)) event.preventDefault();
  }

  #act(event) {
    const {actions} = this;
    const {key, shiftKey, altKey} = event;
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const way = key === "ArrowRight" ? 1 : -1;
      if (shiftKey) actions.jump(way * 1e9);
      else if (altKey) actions.jump(way * 1e8);
      else actions.step(way);
      return true;
    }
    if (altKey) return false;
    if (/^[1-9]$/.test(key)) {
      actions.selectNumber(Number(key) - 1);
      return true;
    }
    const action = {
      " ": actions.toggle, ",": () => actions.step(-1), ".": () => actions.step(1),
      ArrowUp: () => actions.recording(-1), ArrowDown: () => actions.recording(1),
      Home: actions.first, End: actions.last,
      "[": () => actions.faster(-1), "-": () => actions.faster(-1), "]": () => actions.faster(1), "+": () => actions.faster(1), "=": () => actions.faster(1),
      Enter: actions.solo, f: actions.solo, Escape: actions.all,
      a: actions.markIn, b: actions.markOut, x: actions.noRange, l: actions.loop, e: actions.exportRange,
      i: actions.info, d: actions.compare, c: actions.copyRef, p: actions.copyPython, s: actions.save,
      z: () => actions.zoom(1.5), Z: () => actions.zoom(1 / 1.5), 0: () => actions.zoom(0), g: actions.goto, "?": actions.help,
    }[key];
    action?.();
    return Boolean(action);
  }
}
