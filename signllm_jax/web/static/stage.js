// The figures of all shown clips, and the controls that turn them.

import { Camera, Figure } from "./figure.js";
import { fit } from "./view.js";

const TURN = 0.009; // radians a pixel
const KEY_TURN = Math.PI / 12;
const GROWTH = 1.25; // of the clips, after which their view is fitted again

export class Stage {
  /** @param {Record<string, Record<string, string>>} themes of /v1/info */
  constructor(columns, themes, player, changed) {
    Object.assign(this, { columns, themes, player, changed });
    this.camera = new Camera();
    this.clear();
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.draw());
    this.resized = new ResizeObserver(() => this.draw());
  }

  /** Shows nothing but a message. */
  clear(message = "") {
    this.resized?.disconnect();
    Object.assign(this, { figures: [], shown: [], view: null, fitted: 0 });
    this.columns.className = "columns";
    this.columns.replaceChildren(...(message ? [element("div", "card empty", message)] : []));
  }

  /** Whether nothing shown has depth, so that nothing turns. */
  get flat() { return this.shown.every(({ clip }) => clip.flat); }

  /** Fits the view that all clips share, if they have grown or `anew`. */
  fit(anew = false) {
    const frames = this.shown.reduce((sum, { clip }) => sum + clip.length, 0);
    if (!this.shown.length || (!anew && frames < GROWTH * this.fitted)) return;
    this.fitted = frames;
    this.view = fit(this.shown.map(({ clip }) => clip), this.shown[0].clip.skeleton.figure.rules);
  }

  /** Shows clips side by side. @param {{name: string, clip: Clip}[]} shown */
  show(shown, text) {
    this.clear();
    this.shown = shown;
    this.fit(true);
    this.columns.className = `columns few-${shown.length}`;
    for (const { name, clip } of shown) {
      const column = element("figure", "column");
      const body = this.#view(clip, null, `${name}: a figure signing “${text}”`);
      body.classList.add("body");
      if (shown.length > 1) body.append(element("span", "tag name", name));
      column.append(body);
      const hands = element("div", "hands");
      const seen = clip.seenHands();
      column.classList.toggle("no-hands", !seen.length);
      for (const side of ["right", "left"]) {
        if (!seen.includes(side)) continue;
        const view = this.#view(clip, side, `${name}: the ${side} hand`);
        view.classList.add("hand");
        view.append(element("span", "tag", `${side} hand`));
        hands.append(view);
      }
      if (hands.children.length) column.append(hands);
      this.columns.append(column);
    }
    this.draw();
  }

  draw() {
    const colours = this.themes[this.dark.matches ? "dark" : "light"];
    for (const figure of this.figures) {
      figure.draw(this.player.frameOf(figure.clip), this.camera, colours, this.view);
    }
  }

  #view(clip, side, label) {
    const card = element("div", "card view");
    const canvas = document.createElement("canvas");
    if (side || clip.flat) {
      canvas.setAttribute("role", "img");
      canvas.classList.toggle("flat", clip.flat);
    } else { // one tab stop a figure; its hands turn with it
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "application");
      canvas.setAttribute("aria-roledescription", "3-D figure");
      canvas.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight ArrowUp ArrowDown + - Home");
      canvas.addEventListener("keydown", (event) => this.#key(event));
    }
    canvas.setAttribute("aria-label", label);
    this.#drag(canvas);
    card.append(canvas);
    this.figures.push(new Figure(canvas, clip, side));
    this.resized.observe(canvas);
    return card;
  }

  #drag(canvas) {
    const fingers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const other = [...fingers.values()].find((f) => f.pointerId !== event.pointerId);
      if (other) {
        this.camera.closer(distance(event, other) / Math.max(distance(before, other), 1));
      } else {
        if (this.flat) return;
        const sideways = event.clientX - before.clientX;
        // On a touch screen up and down scrolls the page.
        const up = event.pointerType === "touch" ? 0 : event.clientY - before.clientY;
        this.camera.turn(sideways * TURN, up * TURN);
      }
      fingers.set(event.pointerId, event);
      this.#moved();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      // Without focus the wheel belongs to the page.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.camera.closer(Math.exp(-event.deltaY / 400));
      this.#moved();
    }, { passive: false });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const turns = {
      ArrowLeft: [-KEY_TURN, 0], ArrowRight: [KEY_TURN, 0],
      ArrowUp: [0, -KEY_TURN], ArrowDown: [0, KEY_TURN],
    };
    if (event.key in turns) this.camera.turn(...turns[event.key]);
    else if (event.key === "Home") this.camera.front();
    else return;
    event.preventDefault();
    this.#moved();
  }

  /** Moves the camera by one of its methods. */
  look(move, ...values) {
    this.camera[move](...values);
    this.#moved();
  }

  #moved() {
    this.draw();
    this.changed(this.camera);
  }
}

export function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function distance(a, b) {
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
}
