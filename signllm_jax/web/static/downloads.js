// The menu that saves a shown clip as a file.

import * as api from "./api.js";
import { element } from "./stage.js";

export class Downloads {
  /**
   * @param {HTMLButtonElement} button opens the menu
   * @param {HTMLElement} menu
   * @param {(message: string) => void} announce
   * @param {(message: string) => void} showProblem
   */
  constructor(button, menu, announce, showProblem) {
    Object.assign(this, { button, menu, announce, showProblem, formats: [] });
    button.addEventListener("click", () => this.#open(menu.hidden));
    document.addEventListener("click", (event) => {
      if (!event.target.closest(".menu")) this.#open(false);
    });
    menu.parentElement.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || menu.hidden) return;
      this.#open(false);
      button.focus();
    });
  }

  /** Offers clips: for each the request that gives it again, and its name. */
  offer(clips) {
    this.menu.replaceChildren(...clips.flatMap(({ body, name }, number) => {
      const title = element("p", "", `Save ${name} as`);
      title.id = `saved-${number}`;
      const forms = element("div", "forms");
      forms.setAttribute("role", "group");
      forms.setAttribute("aria-labelledby", title.id);
      forms.append(...this.formats.map((format) => this.#button(format, body)));
      return [title, forms];
    }));
    this.allow(clips.length > 0);
  }

  allow(allowed) {
    this.button.disabled = !allowed;
    if (!allowed) this.#open(false);
  }

  #open(open) {
    this.menu.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
  }

  #button({ format, name }, body) {
    const button = element("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => this.#save(button, { ...body, format }, name));
    return button;
  }

  async #save(button, body, name) {
    button.setAttribute("aria-busy", "true");
    try {
      this.announce(`Saved ${await api.download(body)}.`);
    } catch (error) {
      this.showProblem(`${name}: ${error.message}`);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
}
