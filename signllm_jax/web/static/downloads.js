// The buttons that save the shown clip as a file.

import * as api from "./api.js";
import { element } from "./stage.js";

export class Downloads {
  /** @param {(message: string) => void} announce @param {(message: string) => void} showProblem */
  constructor(node, announce, showProblem) {
    Object.assign(this, { node, announce, showProblem });
    this.body = null; // the request of the shown clip
  }

  /** Adds a button for each format of `/v1/info`. */
  fill(formats) {
    for (const { format, name } of formats) {
      const button = element("button", "", name);
      button.type = "button";
      button.disabled = true;
      button.addEventListener("click", () => this.#save(button, format, name));
      this.node.append(button);
    }
  }

  allow(allowed) {
    for (const button of this.node.children) button.disabled = !allowed;
  }

  async #save(button, format, name) {
    button.setAttribute("aria-busy", "true");
    try {
      this.announce(`Saved ${await api.download({ ...this.body, format })}.`);
    } catch (error) {
      this.showProblem(`${name}: ${error.message}`);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
}
