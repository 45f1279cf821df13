// The view that all shown clips share: its windows and units, as `view.py` has them.

import { HAND_JOINTS, median, percentile } from "./clip.js";

/**
 * @param {Clip[]} clips
 * @param {object} rules of /v1/info: figure.rules
 * @returns centre and half sizes of the body's window, half of a hand's window,
 *   and the units, all in the clips' unit
 */
export function fit(clips, rules) {
  const all = clips.flatMap((clip) => pointsOf(clip));
  const shoulders = median(clips.flatMap(shoulderWidths)) || Math.max(extent(all), 1e-6) / 4;
  const [low, high] = rules.palm_range;
  const palm = Math.min(Math.max(
    percentile(clips.flatMap(palmLengths), rules.palm), low * shoulders), high * shoulders);
  const head = median(clips.flatMap(headRadii));
  const units = { shoulders, palm, head };
  return { ...units, ...bodyWindow(clips, all, units, rules), hand: handWindow(clips, palm, rules) };
}

function extent(points) {
  const spans = [0, 1].map((k) => {
    const values = points.map((p) => p[k]);
    return values.reduce((a, b) => Math.max(a, b), -Infinity) - values.reduce((a, b) => Math.min(a, b), Infinity);
  });
  return points.length ? Math.max(...spans) : 0;
}

const index = (clip, name) => clip.skeleton.joints.indexOf(name);
const length = (p) => Math.hypot(...p);
const minus = (p, q) => p.map((v, k) => v - q[k]);

function shoulderWidths(clip) {
  const pair = ["right_shoulder", "left_shoulder"].map((name) => index(clip, name));
  return clip.frames.flatMap((_, t) => {
    const [right, left] = pair.map((joint) => clip.at(t, joint));
    return right && left ? [length(minus(right, left).slice(0, 2))] : [];
  });
}

function palmLengths(clip) {
  return Object.values(clip.skeleton.hands).flatMap((root) => clip.frames.flatMap((_, t) => {
    const [wrist, ...knuckles] = [0, 5, 9, 13, 17].map((j) => clip.at(t, root + j));
    if (!wrist || !knuckles.every(Boolean)) return [];
    return [Math.max(...knuckles.map((p) => length(minus(p, wrist))))];
  }));
}

function disc(clip) { return clip.skeleton.figure.shapes.find((shape) => shape.kind === "disc"); }

function headRadii(clip) {
  const head = disc(clip);
  if (!head) return [];
  return clip.frames.flatMap((_, t) => {
    const nose = clip.point(t, head.points[0]), neck = origin(clip, t);
    return nose && neck ? [0.55 * length(minus(nose, neck).slice(0, 2))] : [];
  });
}

/** The neck, or the middle of the shoulders. */
function origin(clip, t) {
  return clip.point(t, clip.skeleton.figure.origin);
}

/** All points of the figure, or those at most `farthest` from the neck. */
function pointsOf(clip, farthest = Infinity) {
  const points = clip.skeleton.figure.shapes.flatMap((shape) => shape.points).filter((p) => !p.down);
  return clip.frames.flatMap((_, t) => {
    const seen = points.map((point) => clip.point(t, point)).filter(Boolean);
    if (farthest === Infinity) return seen;
    const neck = origin(clip, t);
    return neck ? seen.filter((p) => Math.max(...minus(p, neck).slice(0, 2).map(Math.abs)) <= farthest) : [];
  });
}

function bodyWindow(clips, all, { shoulders, head }, rules) {
  let points = clips.flatMap((clip) => pointsOf(clip, rules.farthest * shoulders));
  if (!points.length) points = all;
  if (!points.length) return { centre: [0, 0, 0], half: [1, 1, 1] };
  for (const clip of clips) {
    const shape = disc(clip);
    for (let t = 0; shape && t < clip.length; t += 1) {
      const nose = clip.point(t, shape.points[0]);
      if (nose) points.push([nose[0], nose[1] - (1 + rules.head_lift) * head, nose[2]]);
    }
  }
  const axes = [0, 1, 2].map((k) => points.reduce(
    ([low, high], p) => [Math.min(low, p[k]), Math.max(high, p[k])], [Infinity, -Infinity]));
  const centre = axes.map(([low, high]) => (low + high) / 2);
  const necks = clips.flatMap((clip) => clip.frames.flatMap((_, t) => origin(clip, t)?.[0] ?? []));
  if (necks.length) centre[0] = median(necks); // centred on the signer
  const half = axes.map(([low, high], k) => rules.margin * (
    Math.max(high - centre[k], centre[k] - low) + rules.limb / 2 * shoulders));
  return { centre, half };
}

function handWindow(clips, palm, rules) {
  const reaches = clips.flatMap((clip) => Object.keys(clip.skeleton.hands).flatMap(
    (side) => clip.frames.map((_, t) => handReach(clip, side, t))));
  const sane = reaches.filter((reach) => reach > 0 && reach <= rules.widest * palm);
  const reach = sane.length ? sane.reduce((a, b) => Math.max(a, b)) : rules.widest * palm;
  return rules.margin * (reach + rules.halo * rules.finger / 2 * palm);
}

/** How far a hand reaches from its middle, in x or y; 0 where it is not seen. */
function handReach(clip, side, t) {
  const centre = clip.centres[side][t];
  if (!centre) return 0;
  let reach = 0;
  for (let j = 0; j < HAND_JOINTS; j += 1) {
    const p = clip.at(t, clip.skeleton.hands[side] + j);
    if (p) reach = Math.max(reach, Math.abs(p[0] - centre[0]), Math.abs(p[1] - centre[1]));
  }
  return reach;
}
