// Deep links: what is looked at, after the # of the address.

export function readLink(hash) {
  const query = new URLSearchParams(hash.replace(/^#/, ""));
  const link = {topic: query.get("topic"), solo: query.has("solo"), ns: null};
  const text = (query.get("t") ?? "").trim();
  if (/^-?\d+$/.test(text)) link.ns = BigInt(text);
  else if (/^\d*\.?\d+s$/.test(text)) link.relative = secondsNs(text.slice(0, -1));
  return link;
}

export function writeLink({ns, topic, solo}) {
  const query = new URLSearchParams({t: String(ns)});
  if (topic) query.set("topic", topic);
  return `#${query}${solo ? "&solo" : ""}`;
}

// Seconds as they are written, in ns, without a float between; null where they are none.
export function secondsNs(text) {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(text.trim());
  if (!match || !(match[1] || match[2])) return null;
  return Number(BigInt(match[1] || "0") * 1000000000n + BigInt((match[2] ?? "").slice(0, 9).padEnd(9, "0")));
}
