// Letters, words or glosses, marked in time with the motion where the model knows their times.

import { element } from "./stage.js";

export class Tokens {
  /** @param {(frame: number) => void} seek called when a token is chosen */
  constructor(list, untimed, seek) {
    Object.assign(this, { list, untimed, seek });
    this.spans = [];
  }

  /** @param {{token: string, start: number, end: number}[]|null} spans */
  show(spans, text, gloss, parts) {
    this.spans = spans ?? [];
    this.buttons = this.spans.map((span) => this.#button(span));
    const borders = new Set(parts.slice(1).map(({ start }) => start));
    this.list.replaceChildren(...this.buttons.map((button, i) => {
      const item = element("li", borders.has(this.spans[i].start) ? "apart" : "");
      item.append(button);
      return item;
    }));
    this.untimed.hidden = spans !== null;
    const note = element("small", "", "This model does not know when it signs each token.");
    this.untimed.replaceChildren(gloss || text, note);
    this.marked = -1;
  }

  clear() {
    this.show([], "", "", []);
  }

  #button({ token, start }) {
    const names = { "": ["end", "rest"], " ": ["␣", "rest"] };
    const [shown, className] = names[token] ?? [token, ""];
    const button = element("button", className, shown);
    button.type = "button";
    button.addEventListener("click", () => this.seek(Math.ceil(start)));
    return button;
  }

  // Scrolls the line of tokens, not the page.
  #reveal({ offsetLeft, offsetWidth }) {
    const { offsetLeft: start, clientWidth } = this.list;
    const middle = offsetLeft - start + offsetWidth / 2;
    this.list.scrollTo({ left: middle - clientWidth / 2 });
  }

  /** Marks the token at a time in frames; returns its label. */
  mark(at) {
    const now = this.spans.findLastIndex((span) => at >= span.start);
    if (now < 0) return "";
    if (now !== this.marked) {
      this.buttons[this.marked]?.removeAttribute("aria-current");
      this.buttons[this.marked]?.style.removeProperty("--share");
      this.buttons[now].setAttribute("aria-current", "true");
      this.#reveal(this.buttons[now]);
      this.marked = now;
    }
    const { start, end } = this.spans[now];
    const share = Math.min((at - start) / Math.max(end - start, 1e-6), 1);
    this.buttons[now].style.setProperty("--share", share.toFixed(3));
    return this.buttons[now].textContent;
  }
}
