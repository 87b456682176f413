// Small helpers for the page's elements and for times as text.

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== "list" && typeof value !== "string") node[name] = value;
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null));
  return node;
}

export const $ = id => document.getElementById(id);

// Changed only if it is another text: screen readers and layout are spared.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// "1:02:03.456", never later than it is.
export function clockText(ns) {
  const ms = Math.floor(ns / 1e6);
  const [hours, minutes, seconds] = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
  const tail = `${String(seconds).padStart(2, "0")}.${String(ms % 1000).padStart(3, "0")}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

// A log time in ns, a BigInt, as UTC with nine digits.
export function utcText(ns) {
  const second = 1000000000n;
  let [seconds, rest] = [ns / second, ns % second];
  if (rest < 0n) [seconds, rest] = [seconds - 1n, rest + second];
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${ns} ns`;
  return `${date.toISOString().slice(0, 19).replace("T", " ")}.${String(rest).padStart(9, "0")}`;
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not allowed, or no secure context: the old way.
  }
  const area = element("textarea", {class: "hidden", readonly: ""});
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
