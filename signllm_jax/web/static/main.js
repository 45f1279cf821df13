// Connects the parts of the page: form, stage, player, tokens and downloads.

import * as api from "./api.js";
import { Clip } from "./clip.js";
import { allowPlayback, pressed, showTime, showView, wireControls } from "./controls.js";
import { Downloads } from "./downloads.js";
import { Player } from "./player.js";
import { bodyOf, receive } from "./signing.js";
import { Stage, element } from "./stage.js";
import { Tokens } from "./tokens.js";

const at = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const HINTS = {
  text: ({ tokens, knows }) => `${tokens === "words" ? "Knows" : "Spells"} ${knows.replace(/^some of /, "")}.`,
  prompt: () => "Ask a question with the text to sign in quotation marks: How do I sign “hello”?",
};

const player = new Player();
const tokens = new Tokens(at("tokens"), at("untimed"), (frame) => {
  player.pause();
  player.seek(frame);
});
const downloads = new Downloads(at("download"), at("downloads"), announce, showProblem);
let facts, stage, asking;
let asked; // the request that is being answered, or that the figures show
let answered; // the request that the figures show

function mode() { return new FormData(at("form")).get("mode"); }

function language() {
  const known = facts.models[0].languages;
  return known.find(({ code }) => code === at("language").value) ?? known[0];
}

function announce(message) { at("status").textContent = message; }

function showProblem(message) {
  at("problem").textContent = message;
  at("hint").hidden = Boolean(message) && message.includes(language().knows);
  at("text").setAttribute("aria-invalid", String(Boolean(message)));
}

function hint(notes = []) {
  at("hint").textContent = notes.length
    ? notes.map((n) => n[0].toUpperCase() + n.slice(1)).join(". ") + "."
    : HINTS[mode()](language());
}

function typed(seed = 0) {
  return { text: at("text").value, mode: mode(), language: language().code, seed };
}

/** Models that sign the language of a request. */
function able(request) {
  return facts.models.filter((model) => model.languages.some((l) => l.code === request.language));
}

/** Signs a request. `quiet` leaves the address and the focus, `stay` the time. */
async function sign(request, { quiet = false, stay = false } = {}) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  asked = request;
  const models = able(request);
  const options = { smooth: pressed("smooth"), constant_bones: pressed("bones") };
  const bodies = models.map((model) => bodyOf(request, options, model));
  showProblem("");
  busy(true);
  downloads.allow(false);
  let shown = [];
  try {
    const runs = bodies.map(() => ({ head: null, clip: null, end: null }));
    const more = () => {
      if (!runs.every(({ clip }) => clip?.length)) return;
      if (!shown.length) shown = begin(runs, stay);
      stage.fit();
      player.follow(shown.map((each) => each.clip));
    };
    await Promise.all(bodies.map((body, i) => receive(body, models[i].skeleton, signal, runs[i], more)));
    answered = request;
    const varied = models.some((model) => model.stochastic);
    showSeed(varied ? request.seed : null);
    finish(runs, shown);
    downloads.offer(runs.map((run, i) => ({ body: bodies[i], name: nameOf(run) })));
    if (!quiet) {
      const seed = varied ? `&seed=${request.seed}` : "";
      history.replaceState(null, "", `#text=${encodeURIComponent(request.text)}${seed}`);
    }
  } catch (error) {
    if (signal.aborted) return;
    // Of another text nothing stays; a failed change of the same one leaves it.
    const same = answered && answered.text === request.text && answered.mode === request.mode;
    if (same && !shown.length) {
      asked = answered;
      downloads.allow(true);
    } else forget();
    showProblem(error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message);
    if (!quiet && !stay) at("text").focus();
  } finally {
    if (asking.signal === signal) {
      busy(false);
      player.growing = false;
    }
  }
}

/** Removes all that tells of the last signing. */
function forget() {
  asked = answered = undefined;
  stage.clear("Nothing is shown.");
  tokens.clear();
  downloads.offer([]);
  showSeed(null);
  player.pause();
  player.extend(player.fps, 0);
  player.restart();
  allowPlayback(false);
  announce("");
  hint();
  history.replaceState(null, "", location.pathname);
}

/** Says which clip a file holds. */
function nameOf({ head }) {
  const way = head.seed === null ? "" : `, seed ${head.seed}`;
  const model = facts.models.length > 1 ? `, signed by ${head.model}` : "";
  return `“${head.text}”${way}${model}`;
}

/** Signs the shown text with the next seed. */
function signAnotherWay() {
  if (at("another").disabled || at("ways").hidden) return;
  sign({ ...asked, seed: (asked.seed + 1) % 2 ** 32 }, { stay: true });
}

function busy(working) {
  for (const button of [at("sign"), at("another")]) {
    if (working) button.setAttribute("aria-busy", "true"); else button.removeAttribute("aria-busy");
  }
}

/** Offers other ways to sign; null: there is one only. */
function showSeed(seed) {
  at("ways").hidden = at("ways-key").hidden = seed === null;
  at("another").disabled = seed === null;
  at("seed").textContent = `Seed ${seed}`;
}

/** Shows the first frames of every run, and plays them if the time does not stay. */
function begin(runs, stay) {
  const [{ head, clip }, ...others] = runs;
  const shown = [{ name: others.length ? head.model : "Produced", clip }];
  for (const other of others) shown.push({ name: other.head.model, clip: other.clip });
  if (head.true) {
    const truth = new Clip(head.true.fps, clip.skeleton);
    truth.add(head.true.frames);
    shown.push({ name: `True (${head.true.split})`, clip: truth });
  }
  stage.show(shown, head.text);
  player.growing = true;
  player.follow(shown.map((each) => each.clip));
  if (!stay) {
    player.restart();
    if (calm.matches) player.pause(); else player.play();
  }
  allowPlayback(true);
  showFlatness();
  return shown;
}

/** Shows tokens, downloads and the summary when all frames have arrived. */
function finish([{ head, clip, end }, ...others], shown) {
  player.growing = false;
  player.seek(player.at); // the clip may be shorter than the one before
  // A hand may be seen later only; then its card is missing still.
  const hands = shown.reduce((sum, each) => sum + each.clip.seenHands().length, 0);
  if (hands + shown.length !== stage.figures.length) stage.show(shown, head.text);
  else stage.fit(true);
  tokens.show(end.tokens, head.text, end.gloss, end.parts);
  hint(head.notes);
  const cut = end.finished ? "" : " It was cut off at the limit of frames.";
  const beside = head.true ? ` The true signing (${head.true.split} split) is shown beside it.` : "";
  if (cut) at("hint").textContent = cut.trim();
  const gloss = end.gloss ? ` as ${end.gloss}` : "";
  const way = head.seed === null ? "" : `, seed ${head.seed},`;
  announce(`Signed “${head.text}”${gloss}${way} in ${clip.seconds.toFixed(1)} seconds, ${end.length} frames.${beside}${cut}`);
  refresh();
}

/** Hides what turns, where nothing shown has depth. */
function showFlatness() {
  const [{ clip }] = stage.shown;
  for (const node of document.querySelectorAll(".turns")) node.hidden = stage.flat;
  for (const node of document.querySelectorAll(".flat-only")) node.hidden = !stage.flat;
  at("faceless").hidden = clip.skeleton.figure.shapes.some(({ layer }) => layer === "face");
}

function refresh() {
  stage?.draw();
  showTime(player, tokens.mark(player.at));
}

function wire() {
  at("form").addEventListener("submit", (event) => { event.preventDefault(); sign(typed()); });
  at("modes").addEventListener("change", () => {
    at("text").placeholder = mode() === "prompt" ? "How do I sign “hello”?" : "";
    showProblem("");
    hint();
  });
  wireControls(player, () => stage, {
    again: () => asked && sign(asked, { quiet: true }),
    another: signAnotherWay,
  });
  player.addEventListener("change", refresh);
}

function fill() {
  const [model, other] = facts.models;
  at("language").replaceChildren(...model.languages.map(({ code, name }) => {
    const option = element("option", "", name || "unnamed");
    option.value = code;
    return option;
  }));
  at("language").addEventListener("change", fillLanguage);
  fillLanguage();
  at("model").textContent = `Model ${model.name}${other ? ` beside ${other.name}` : ""}`;
  downloads.formats = facts.formats;
}

function fillLanguage() {
  const { spoken, examples } = language();
  at("text").lang = spoken;
  at("examples").replaceChildren();
  if (examples.length) at("examples").append(element("span", "", "With true signing:"));
  for (const text of examples) {
    const chip = element("button", "", text);
    chip.type = "button";
    chip.addEventListener("click", () => {
      at("text").value = text;
      at("form").elements.mode.value = "text";
      sign(typed());
    });
    at("examples").append(chip);
  }
  showProblem("");
  hint();
}

async function start() {
  wire();
  try {
    facts = await api.info();
  } catch {
    showProblem("The server cannot be reached. Is it still running?");
    return;
  }
  fill();
  stage = new Stage(at("columns"), facts.themes, player, showView);
  stage.clear("Type a text and press Sign.");
  const place = new URLSearchParams(location.hash.slice(1));
  const text = place.get("text");
  const seed = /^\d{1,10}$/.test(place.get("seed")) ? Number(place.get("seed")) : 0;
  at("text").value = text ?? language().examples[0] ?? "";
  if (at("text").value) await sign(typed(seed % 2 ** 32), { quiet: true });
}

start();
