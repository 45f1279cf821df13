// Requests for signing and their answers.

import * as api from "./api.js";
import { Clip } from "./clip.js";

/** What a model is sent. Only a stochastic one takes a seed. */
export function bodyOf({ text, mode, language, seed }, options, model) {
  const body = { text, mode, ...options, model: model.name };
  if (language) body.language = language;
  if (model.stochastic) body.seed = seed;
  return body;
}

/** Reads a stream into `got`; calls `more` after each chunk of frames. */
export async function receive(body, skeleton, signal, got, more) {
  for await (const line of api.sign(body, signal)) {
    if (line.type === "start") {
      got.head = line;
      got.clip = new Clip(line.fps, skeleton);
    } else if (line.type === "frames") {
      got.clip.add(line.frames);
      more();
    } else if (line.type === "error") throw new Error(line.detail);
    else if (line.type === "end") got.end = line;
  }
  if (!got.end) throw new Error("The response ended early. Try again.");
}
