// The page: puts clock, tiles and lanes together, and does what buttons and keys ask for.

import {Clock, SPEEDS} from "./clock.js";
import {$, clockText, copyText, element, say, utcText} from "./dom.js";
import {Feeds} from "./feed.js";
import {KEYS, Keys} from "./keys.js";
import {Lanes} from "./lanes.js";
import {readLink, secondsNs, writeLink} from "./link.js";
import * as api from "./server.js";
import {Tile} from "./tile.js";
import {Topic} from "./topic.js";

class Page {
  async open() {
    this.dressed();
    const asked = new URLSearchParams(location.search).get("recording") ?? "0";
    const session = this.session = await api.session(/^\d+$/.test(asked) ? asked : "0");
    this.startNs = BigInt(session.start_ns);
    this.server = new api.Server(session.number);
    document.title = `${session.title} · mediaref`;
    say($("title"), session.title);
    $("title").title = session.path;
    this.recordings();
    this.clock = new Clock(Math.max(1, session.duration_ns));
    this.feeds = new Feeds(this.server, error => this.failed(error));
    const columns = await Promise.all(session.topics.map(about => this.server.column("times", about.id)));
    this.topics = session.topics.map((about, at) => new Topic(about, columns[at]));
    this.tiles = this.topics.map(topic => new Tile(topic, this.feeds.add(topic), this));
    // While it plays, the next turn draws it: one layout a turn.
    for (const tile of this.tiles) tile.feed.onPicture = () => { if (!this.clock.playing) this.draw(); };
    $("grid").append(...this.tiles.map(tile => tile.node));
    if (!this.topics.some(topic => topic.frames)) this.nothing();
    this.selectedTile = this.tiles[0] ?? null;
    this.lanes = new Lanes($("lanes"), this.topics, this.lanePage());
    this.controls();
    this.follow(readLink(location.hash));
    window.addEventListener("hashchange", () => { if (location.hash !== this.written) this.follow(readLink(location.hash)); });
    new ResizeObserver(() => this.layout()).observe($("grid"));
    window.addEventListener("resize", () => this.layout());
    this.clock.addEventListener("change", () => this.changed());
    this.layout();
    for (const tile of this.tiles) {
      if (tile.depth && tile.topic.frames) tile.autoRange().then(() => { tile.ranged = true; tile.layout(); });
    }
    this.changed();
    document.body.dataset.ready = "true";
    this.fillLanes();
  }

  // Of a folder, all recordings; each is a page of its own.
  recordings() {
    const {recordings, recording} = this.session;
    $("recording").append(...recordings.map((name, at) => element("option", {value: String(at)}, `${at + 1}/${recordings.length} ${name}`)));
    $("recording").value = String(recording);
    $("recording").hidden = recordings.length < 2;
    $("title").hidden = recordings.length > 1;
    $("recording").addEventListener("change", () => this.goTo(Number($("recording").value)));
  }

  goTo(recording) {
    if (recording < 0 || recording >= this.session.recordings.length || recording === this.session.recording) return;
    clearTimeout(this.remembering);
    location.href = `?recording=${recording}`;
  }

  // What lanes need: the rest is none of their business.
  lanePage() {
    const page = this;
    return {
      clock: this.clock,
      get selected() { return page.selectedTile?.topic; },
      select: topic => this.select(this.tiles[topic.id]),
      drag: on => this.drag(on),
    };
  }

  // Marks and PSNR come when pictures are there: nobody waits for them.
  async fillLanes() {
    for (const topic of this.topics) {
      try {
        [topic.marks, topic.psnr] = await Promise.all([this.server.column("marks", topic.id), this.server.column("psnr", topic.id)]);
      } catch {
        continue; // the tile says what is wrong with it
      }
      this.lanes.draw();
    }
  }

  nothing() {
    $("grid").append(element("p", {class: "empty"}, this.topics.length
      ? "The topics of this dataset have no frames."
      : "Nothing to show: no topic with pictures is in here. `mediaref info` tells what is."));
  }

  failed(error) {
    this.clock.pause();
    const gone = error.status === 410;
    say($("banner-text"), gone ? `${this.session.title} was replaced or removed while it was open.`
      : "The viewer has stopped. Start `mediaref play` again; the new address is printed there.");
    $("banner-button").hidden = !gone;
    $("banner").hidden = false;
  }

  // --- time ---

  changed() {
    const {clock} = this;
    document.body.classList.toggle("playing", clock.playing);
    $("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
    $("speed").value = String(clock.rate);
    $("loop").checked = clock.loop;
    const {range} = clock;
    say($("range"), range ? `${clockText(range[0])} – ${clockText(range[1])}` : "");
    $("range-clear").hidden = !range;
    $("export").hidden = !range || !this.session.export;
    this.draw();
    if (clock.playing) this.run();
    else this.remember();
  }

  run() {
    if (this.running) return;
    this.running = true;
    const turn = () => {
      this.draw();
      if (this.clock.playing) requestAnimationFrame(turn);
      else this.running = false;
    };
    requestAnimationFrame(turn);
  }

  draw() {
    const {clock} = this;
    const ns = clock.ns;
    const how = {playing: clock.playing, dragging: this.dragging};
    for (const tile of this.tiles) if (tile.topic.shown) tile.show(ns, how);
    this.feeds.pump();
    say($("log-time"), utcText(this.startNs + BigInt(ns)));
    if (document.activeElement !== $("goto")) $("goto").value = (ns / 1e9).toFixed(3);
    $("scrubber").value = String(Math.round(1000 * ns / clock.durationNs));
    $("scrubber").setAttribute("aria-valuetext", clockText(ns));
    if (clock.playing) this.lanes.follow(ns);
    this.lanes.move(ns);
    const due = this.tiles.reduce((sum, tile) => sum + tile.due, 0);
    if (due) say($("counts"), `${Math.min(due, this.tiles.reduce((sum, tile) => sum + tile.shown, 0))}/${due} shown`);
  }

  drag(on) {
    this.dragging = on;
    if (on) this.clock.pause();
    this.draw();
  }

  step(way) {
    const tile = this.selectedTile;
    if (!tile?.topic.frames) return;
    const {topic} = tile;
    this.clock.pause();
    const now = topic.indexOn(this.clock, this.clock.ns);
    const index = Math.min(Math.max(now + way, 0), topic.frames - 1);
    this.clock.seek(topic.times[index], {topic, index});
    this.announce();
  }

  jump(ns) {
    this.clock.pause();
    this.clock.seek(this.clock.ns + ns);
    this.announce();
  }

  announce() {
    const topic = this.selectedTile?.topic;
    const index = topic?.indexOn(this.clock, this.clock.ns) ?? -1;
    say($("status"), `${clockText(this.clock.ns)}${topic ? `, ${topic.name} frame ${index} of ${topic.frames}` : ""}`);
  }

  // The place in the address, once it rests.
  remember() {
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() => {
      this.written = this.link();
      history.replaceState(null, "", this.written);
    }, 200);
  }

  link() {
    return writeLink({ns: this.startNs + BigInt(this.clock.ns), topic: this.selectedTile?.topic.name, solo: this.alone});
  }

  follow(link) {
    const tile = this.tiles.find(each => each.topic.name === link.topic);
    if (tile) this.select(tile);
    if (tile && link.solo && !this.alone) this.solo(tile);
    const ns = link.ns !== null ? Number(link.ns - this.startNs) : link.relative;
    if (Number.isFinite(ns)) this.clock.seek(ns);
  }

  // --- topics ---

  select(tile) {
    if (!tile || tile === this.selectedTile) return;
    this.selectedTile = tile;
    this.clock.pinned = null;
    this.mark();
    if (!this.clock.playing) this.remember();
  }

  mark() {
    for (const each of this.tiles) {
      each.node.classList.toggle("selected", each === this.selectedTile);
      each.node.setAttribute("aria-current", String(each === this.selectedTile));
    }
    this.lanes?.draw();
  }

  solo(tile = this.selectedTile) {
    this.alone = !this.alone && Boolean(tile);
    if (tile) this.select(tile);
    this.arrange();
  }

  all() {
    this.alone = false;
    this.arrange();
  }

  // Show what is chosen, as large as it fits.
  arrange() {
    for (const {topic, node} of this.tiles) {
      topic.shown = this.alone ? topic === this.selectedTile.topic : topic.chosen !== false;
      node.hidden = !topic.shown;
    }
    document.body.classList.toggle("alone", Boolean(this.alone));
    const chosen = this.topics.filter(topic => topic.chosen !== false).length;
    say($("topics-count"), chosen === this.topics.length ? String(chosen) : `${chosen}/${this.topics.length}`);
    this.layout();
    this.mark();
    this.changed();
  }

  layout() {
    const shown = this.tiles.filter(tile => tile.topic.shown);
    const grid = $("grid");
    const {clientWidth: width, clientHeight: height} = grid;
    const narrow = width < 600;
    let best = [1, 0];
    for (let columns = 1; columns <= shown.length; columns++) {
      const [wide, high] = [width / columns, height / Math.ceil(shown.length / columns) - 30];
      const area = shown.reduce((sum, {topic}) => {
        const scale = Math.min(wide / topic.width, high / topic.height);
        return sum + Math.max(0, scale) ** 2 * topic.width * topic.height;
      }, 0);
      if (area > best[1]) best = [columns, area];
    }
    const columns = narrow ? 1 : best[0];
    grid.style.setProperty("--columns", columns);
    grid.style.setProperty("--rows", Math.ceil(shown.length / columns) || 1);
    grid.classList.toggle("narrow", narrow && shown.length > 1);
    for (const tile of shown) tile.layout();
    this.draw();
  }

  // --- the current frame ---

  async reference() {
    const tile = this.selectedTile;
    if (!tile?.drawn) return null;
    return {tile, ...(await this.server.about("ref", tile.topic.id, tile.drawn.index))};
  }

  async copyRef() {
    const found = await this.reference();
    if (!found) return;
    if (found.ref) this.copied(await copyText(found.ref), "MediaRef");
    else this.toast("This picture is in the log as it was: no MediaRef stands for it.");
  }

  async copyPython() {
    const found = await this.reference();
    if (found) this.copied(await copyText(found.python), "Python");
  }

  copied(done, what) {
    this.toast(done ? `${what} copied` : `The browser does not let a page copy: ${what}`);
  }

  save() {
    const tile = this.selectedTile;
    if (!tile?.drawn) return;
    const link = element("a", {href: this.server.png(tile.topic.id, tile.drawn.index), download: ""});
    document.body.append(link);
    link.click();
    link.remove();
  }

  async exportRange() {
    const {range} = this.clock;
    if (!this.session.export) return this.toast("Only datasets can be exported: convert it first.");
    const [from, to] = (range ?? [0, this.clock.durationNs]).map(ns => this.startNs + BigInt(ns));
    const shown = this.topics.filter(topic => topic.shown);
    const globs = shown.length === this.topics.length ? "" : shown.map(topic => ` --topic ${topic.quoted}`).join("");
    const command = `${this.session.export} --out frames/ --start ${from} --stop ${to}${globs}`;
    this.toast((await copyText(command)) ? `Copied: ${command}` : command);
  }

  toast(text) {
    const toast = $("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => { toast.hidden = true; }, 4000);
  }

  markRange(at) {
    const {clock} = this;
    const [from, to] = clock.range ?? [0, clock.durationNs];
    const now = clock.ns;
    clock.setRange(at === 0 ? [now, to > now ? to : clock.durationNs] : [from < now ? from : 0, now + 1]);
  }

  setInfo(on) {
    $("info").setAttribute("aria-pressed", String(on));
    for (const tile of this.tiles) tile.setOverlay(on);
  }

  // --- buttons and keys ---

  dressed() {
    let theme = null;
    try {
      theme = localStorage.getItem("mediaref-theme");
    } catch {
      // Not allowed: the system's it is.
    }
    if (theme) document.documentElement.dataset.theme = theme;
    $("theme").addEventListener("click", () => {
      const dark = getComputedStyle(document.documentElement).colorScheme.trim() === "dark";
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      try {
        localStorage.setItem("mediaref-theme", document.documentElement.dataset.theme);
      } catch {
        // Then it is forgotten.
      }
      this.lanes?.draw();
    });
    $("banner-button").addEventListener("click", () => location.reload());
    const help = $("help-dialog");
    $("help-keys").append(...KEYS.flatMap(([keys, what]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what)]));
    $("help").addEventListener("click", () => help.showModal());
    help.addEventListener("click", event => { if (event.target === help) help.close(); });
    document.addEventListener("pointerdown", event => {
      for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
  }

  controls() {
    const {clock} = this;
    $("speed").append(...SPEEDS.map(speed => element("option", {value: String(speed)}, `${speed}×`)));
    say($("duration"), `/ ${clockText(clock.durationNs)}`);
    const actions = {
      toggle: () => clock.toggle(), step: way => this.step(way), jump: ns => this.jump(ns),
      recording: way => this.goTo(this.session.recording + way),
      first: () => { clock.pause(); clock.seek(0); this.announce(); },
      last: () => { clock.pause(); clock.seek(Math.max(...this.topics.map(topic => topic.times.at(-1) ?? 0))); this.announce(); },
      faster: by => clock.faster(by), selectNumber: at => this.select(this.tiles.filter(tile => tile.topic.shown)[at]),
      solo: () => this.solo(), all: () => this.all(), markIn: () => this.markRange(0), markOut: () => this.markRange(1),
      noRange: () => clock.setRange(null), loop: () => clock.setLoop(!clock.loop), exportRange: () => this.exportRange(),
      info: () => this.setInfo($("info").getAttribute("aria-pressed") !== "true"),
      compare: () => this.selectedTile?.compare && this.selectedTile.nextSide(),
      copyRef: () => this.copyRef(), copyPython: () => this.copyPython(), save: () => this.save(),
      zoom: factor => factor ? this.selectedTile?.lens.zoom(factor) : this.selectedTile?.lens.reset(),
      goto: () => { $("goto").focus(); $("goto").select(); }, help: () => $("help-dialog").showModal(),
    };
    new Keys(actions);
    const press = (id, action) => $(id).addEventListener("click", action);
    press("play", actions.toggle);
    press("previous", () => this.step(-1));
    press("next", () => this.step(1));
    press("info", actions.info);
    press("mark-in", actions.markIn);
    press("mark-out", actions.markOut);
    press("range-clear", actions.noRange);
    press("export", actions.exportRange);
    press("copy-ref", actions.copyRef);
    press("copy-python", actions.copyPython);
    press("save", actions.save);
    press("copy-link", async () => this.copied(await copyText(location.href.split("#")[0] + this.link()), "Link"));
    $("speed").addEventListener("change", () => clock.setRate(Number($("speed").value)));
    $("loop").addEventListener("change", () => clock.setLoop($("loop").checked));
    $("goto").addEventListener("change", () => this.goto($("goto").value));
    $("goto").addEventListener("keydown", event => { if (event.key === "Enter") $("goto").blur(); });
    const scrubber = $("scrubber");
    scrubber.addEventListener("pointerdown", () => this.drag(true));
    scrubber.addEventListener("input", () => clock.seek(scrubber.value / 1000 * clock.durationNs));
    for (const end of ["pointerup", "pointercancel", "change"]) scrubber.addEventListener(end, () => this.drag(false));
    this.topicList();
  }

  goto(text) {
    const ns = /^\d{15,}$/.test(text.trim()) ? Number(BigInt(text.trim()) - this.startNs) : secondsNs(text.replace(/s$/, ""));
    if (ns === null) return this.toast(`"${text}" is no time: type seconds from the start, or a log time in ns`);
    this.clock.pause();
    this.clock.seek(ns);
  }

  topicList() {
    $("topics-list").append(...this.topics.map((topic, at) => {
      const box = element("input", {type: "checkbox", checked: true});
      box.addEventListener("change", () => {
        topic.chosen = box.checked;
        this.alone = false;
        this.arrange();
      });
      return element("label", {class: "check"}, box, ` ${topic.name} `, element("span", {class: "dim mono"}, `${topic.frames}${at < 9 ? ` · ${at + 1}` : ""}`));
    }));
    this.arrange();
  }
}

const page = new Page();
page.open().catch(error => {
  say($("log-time"), "");
  $("banner").hidden = false;
  say($("banner-text"), error.message);
  document.body.dataset.ready = "failed";
  if (!(error instanceof api.ServerError)) throw error;
});
