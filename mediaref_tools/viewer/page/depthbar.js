// The colours of a 16-bit topic: which values they stand for, in metres where they are distances.

import {element} from "./dom.js";

const LARGEST = 65535;

export class DepthBar {
  constructor(topic, onChange) {
    this.topic = topic;
    this.onChange = onChange;
    this.scale = topic.sort === "depth" ? 1000 : 1; // stored values to what is shown: mm to m
    const unit = topic.sort === "depth" ? "m" : "";
    [this.low, this.high, this.palette] = [0, LARGEST, "turbo"];
    const input = name => element("input", {
      type: "number", class: "mono", min: "0", max: String(LARGEST / this.scale), step: topic.sort === "depth" ? "0.1" : "100",
      "aria-label": `${topic.name}: ${name}${unit && ` in ${unit}`}`, "data-range": name,
    });
    this.lowInput = input("low");
    this.highInput = input("high");
    this.auto = element("button", {type: "button", title: "The range of this frame"}, "Auto");
    this.select = element("select", {"aria-label": `${topic.name}: colours`},
      element("option", {value: "turbo"}, "turbo"), element("option", {value: "gray"}, "gray"));
    this.node = element("div", {class: "depthbar", role: "group", "aria-label": `${topic.name}: range of colours`},
      this.lowInput, element("span", {class: "ramp turbo", "aria-hidden": "true"}), this.highInput,
      ...(unit ? [element("span", {class: "dim"}, unit)] : []), this.auto, this.select);
    for (const one of [this.lowInput, this.highInput]) one.addEventListener("change", () => this.#typed());
    this.select.addEventListener("change", () => {
      this.palette = this.select.value;
      this.node.querySelector(".ramp").className = `ramp ${this.palette}`;
      this.onChange();
    });
  }

  set(low, high) {
    low = Math.min(Math.max(Math.round(low), 0), LARGEST - 1);
    [this.low, this.high] = [low, Math.min(Math.max(Math.round(high), low + 1), LARGEST)];
    this.#show();
    this.onChange();
  }

  query() {
    return `&lo=${this.low}&hi=${this.high}&palette=${this.palette}`;
  }

  // A pixel's value as text.
  text(value, unit) {
    if (value === null || (value === 0 && this.topic.sort === "depth")) return "no depth";
    if (this.topic.sort !== "depth") return String(value);
    return `${(unit === "mm" ? value / 1000 : value).toFixed(3)} m`;
  }

  #typed() {
    const [low, high] = [this.lowInput, this.highInput].map(one => Number.parseFloat(one.value) * this.scale);
    if (Number.isFinite(low) && Number.isFinite(high)) this.set(low, high); else this.#show();
  }

  #show() {
    const digits = this.scale > 1 ? 2 : 0;
    this.lowInput.value = (this.low / this.scale).toFixed(digits);
    this.highInput.value = (this.high / this.scale).toFixed(digits);
  }
}
