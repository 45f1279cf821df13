// Connects the parts of the page: form, stage, player, tokens and downloads.

import * as api from "./api.js";
import { Clip } from "./clip.js";
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
const downloads = new Downloads(at("downloads"), announce, showProblem);
let facts, stage, asking;
let asked; // the request that is being answered, or that the figures show
let answered; // the request that the figures show

function mode() { return new FormData(at("form")).get("mode"); }

function language() {
  const known = facts.models[0].languages;
  return known.find(({ code }) => code === at("language").value) ?? known[0];
}

function pressed(id) { return at(id).getAttribute("aria-pressed") === "true"; }

function announce(message) { at("status").textContent = message; }

function showProblem(message) {
  at("problem").textContent = message;
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
      player.extend(runs[0].clip.fps, Math.max(...shown.map((s) => s.clip.length)));
    };
    await Promise.all(bodies.map((body, i) => receive(body, facts.skeleton.hands, signal, runs[i], more)));
    [downloads.body] = bodies;
    answered = request;
    const varied = models.some((model) => model.stochastic);
    showSeed(varied ? request.seed : null);
    finish(runs, shown);
    if (!quiet) {
      const seed = varied ? `&seed=${request.seed}` : "";
      history.replaceState(null, "", `#text=${encodeURIComponent(request.text)}${seed}`);
    }
  } catch (error) {
    if (signal.aborted) return;
    asked = answered;
    if (answered && !shown.length) downloads.allow(true); // of the clip that is still shown
    showProblem(error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message);
    if (!quiet && !stay) at("text").focus();
  } finally {
    if (asking.signal === signal) {
      busy(false);
      player.growing = false;
    }
  }
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
    const truth = new Clip(head.true.fps, facts.skeleton.hands);
    truth.add(head.true.frames);
    shown.push({ name: `True (${head.true.split})`, clip: truth });
  }
  stage.show(shown, head.text);
  player.growing = true;
  player.extend(clip.fps, clip.length);
  if (!stay) {
    player.restart();
    if (calm.matches) player.pause(); else player.play();
  }
  for (const id of ["play", "back", "forth", "time"]) at(id).disabled = false;
  return shown;
}

/** Shows tokens, downloads and the summary when all frames have arrived. */
function finish([{ head, clip, end }, ...others], shown) {
  player.growing = false;
  player.seek(player.at); // the clip may be shorter than the one before
  const hands = () => shown.map((s) => Object.keys(s.clip.handBoxes).join()).join(";");
  const before = hands();
  for (const each of shown) each.clip.measure();
  if (hands() !== before) stage.show(shown, head.text);
  tokens.show(end.tokens, head.text, end.gloss, end.parts);
  hint(head.notes);
  downloads.allow(true);
  const cut = end.finished ? "" : " It was cut off at the limit of frames.";
  const beside = head.true ? ` The true signing (${head.true.split} split) is shown beside it.` : "";
  if (cut) at("hint").textContent = cut.trim();
  const gloss = end.gloss ? ` as ${end.gloss}` : "";
  const way = head.seed === null ? "" : `, seed ${head.seed},`;
  announce(`Signed “${head.text}”${gloss}${way} in ${clip.seconds.toFixed(1)} seconds, ${end.length} frames.${beside}${cut}`);
  showTime();
}

function showTime() {
  stage?.draw();
  const { frame, length, fps, playing } = player;
  at("time").max = String(Math.max(length - 1, 1));
  at("time").value = String(frame);
  at("clock").textContent = `${(frame / fps).toFixed(2)} / ${(Math.max(length - 1, 0) / fps).toFixed(2)} s`;
  const token = tokens.mark(player.at);
  at("time").setAttribute("aria-valuetext",
    `frame ${frame + 1} of ${length}${token ? `, ${token}` : ""}`);
  at("play").toggleAttribute("data-playing", playing);
  at("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

function showView(camera) {
  const near = (angle) => Math.abs(camera.yaw - angle) < 0.01 || Math.abs(camera.yaw + angle) < 0.01;
  at("front").setAttribute("aria-pressed", String(near(0) && camera.pitch === 0));
  at("signer").setAttribute("aria-pressed", String(near(Math.PI)));
}

function toggleLoop() {
  player.loop = !player.loop;
  at("loop").setAttribute("aria-pressed", String(player.loop));
}

const KEYS = {
  " ": () => player.toggle(),
  ",": () => player.step(-1),
  ".": () => player.step(1),
  "+": () => stage.look("closer", 1.25),
  "-": () => stage.look("closer", 0.8),
  f: () => stage.look("front"),
  s: () => stage.look("signer"),
  l: toggleLoop,
  a: signAnotherWay,
};

function wire() {
  at("form").addEventListener("submit", (event) => { event.preventDefault(); sign(typed()); });
  at("modes").addEventListener("change", () => {
    at("text").placeholder = mode() === "prompt" ? "How do I sign “hello”?" : "";
    showProblem("");
    hint();
  });
  at("back").addEventListener("click", () => player.step(-1));
  at("forth").addEventListener("click", () => player.step(1));
  at("play").addEventListener("click", () => player.toggle());
  at("time").addEventListener("input", () => {
    const frame = Number(at("time").value); // before pausing moves it back
    player.pause();
    player.seek(frame);
  });
  at("speed").addEventListener("change", () => { player.speed = Number(at("speed").value); });
  at("loop").addEventListener("click", toggleLoop);
  at("front").addEventListener("click", () => stage.look("front"));
  at("signer").addEventListener("click", () => stage.look("signer"));
  for (const id of ["smooth", "bones"]) {
    at(id).addEventListener("click", () => {
      at(id).setAttribute("aria-pressed", String(!pressed(id)));
      if (asked) sign(asked, { quiet: true });
    });
  }
  at("another").addEventListener("click", signAnotherWay);
  at("closer").addEventListener("click", () => stage.look("closer", 1.25));
  at("farther").addEventListener("click", () => stage.look("closer", 0.8));
  player.addEventListener("change", showTime);
  document.addEventListener("keydown", (event) => {
    // Controls with keys of their own keep them.
    const own = event.target.closest("input, select, button, a, textarea");
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key.toLowerCase()];
    if (!act || !player.length) return;
    event.preventDefault();
    act();
  });
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
  downloads.fill(facts.formats);
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
  at("columns").append(element("div", "card empty", "Type a text and press Sign."));
  try {
    facts = await api.info();
  } catch {
    showProblem("The server cannot be reached. Is it still running?");
    return;
  }
  const other = facts.models.find((model) => model.skeleton.name !== "prompt2sign50");
  if (other) {
    showProblem(`${other.name} signs with the skeleton ${other.skeleton.name}, which this page does not draw yet. The API serves it.`);
    return;
  }
  fill();
  stage = new Stage(at("columns"), facts.skeleton, player, showView);
  const place = new URLSearchParams(location.hash.slice(1));
  const text = place.get("text");
  const seed = /^\d{1,10}$/.test(place.get("seed")) ? Number(place.get("seed")) : 0;
  at("text").value = text ?? language().examples[0] ?? "";
  if (at("text").value) await sign(typed(seed % 2 ** 32), { quiet: true });
}

start();
