// Zooming and panning a picture in its stage, and which of its pixels is under the cursor.

const MOST = 40;

export class Lens {
  constructor(stage, canvas, onChange) {
    Object.assign(this, {stage, canvas, onChange});
    [this.scale, this.x, this.y] = [1, 0, 0]; // the offset is in stage pixels, from the middle
    this.dragging = false;
    this.moved = false;
    stage.addEventListener("wheel", event => this.#wheel(event), {passive: false});
    stage.addEventListener("pointerdown", event => this.#press(event));
    stage.addEventListener("pointermove", event => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { this.dragging = false; });
  }

  // Fit a picture of some size into the stage.
  fit(width, height) {
    const {clientWidth, clientHeight} = this.stage;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    this.width = width * scale;
    this.height = height * scale;
    this.#apply();
  }

  reset() {
    [this.scale, this.x, this.y] = [1, 0, 0];
    this.#apply();
    this.onChange();
  }

  // Zoom about a point, in client coordinates; the middle where none is given.
  zoom(factor, clientX = null, clientY = null) {
    const box = this.stage.getBoundingClientRect();
    const [px, py] = clientX === null ? [0, 0]
      : [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    this.x = px - (px - this.x) * scale / this.scale;
    this.y = py - (py - this.y) * scale / this.scale;
    this.scale = scale;
    this.#apply();
    this.onChange();
  }

  // The place under the cursor as parts of the picture's width and height, or null beside it.
  at(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const [u, v] = [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
    return u >= 0 && u < 1 && v >= 0 && v < 1 ? [u, v] : null;
  }

  #apply() {
    const [mostX, mostY] = [this.width * (this.scale - 1) / 2, this.height * (this.scale - 1) / 2];
    this.x = Math.min(Math.max(this.x, -mostX), mostX);
    this.y = Math.min(Math.max(this.y, -mostY), mostY);
    const style = this.canvas.style;
    style.width = `${this.width}px`;
    style.height = `${this.height}px`;
    style.transform = `translate(-50%, -50%) translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.canvas.classList.toggle("pixels", this.scale * this.width > 2 * (this.canvas.width || 1));
    this.stage.classList.toggle("zoomed", this.scale > 1);
  }

  #wheel(event) {
    if (event.ctrlKey && this.scale === 1 && event.deltaY > 0) return;
    if (this.scale === 1 && event.deltaY >= 0) return; // let the page scroll
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0025)), event.clientX, event.clientY);
  }

  #press(event) {
    this.moved = false;
    if (event.button !== 0 || this.scale === 1) return;
    this.dragging = true;
    this.stage.setPointerCapture(event.pointerId);
    [this.fromX, this.fromY] = [event.clientX - this.x, event.clientY - this.y];
  }

  #move(event) {
    if (!this.dragging) return;
    this.moved = true;
    [this.x, this.y] = [event.clientX - this.fromX, event.clientY - this.fromY];
    this.#apply();
  }
}
