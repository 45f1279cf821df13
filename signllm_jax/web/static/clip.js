// A clip in the browser: its frames, and the points of its figure at any time.
//
// Axes: x right, y down, d towards the viewer, in canonical units.

export const HAND_JOINTS = 21;
const MIDDLE = { reach: 1 / 2, width: 1 / 8 }; // seconds of the smoothing of a hand's centre

export class Clip {
  /** @param {number} fps @param {object} skeleton of /v1/info */
  constructor(fps, skeleton) {
    this.fps = fps;
    this.skeleton = skeleton;
    this.frames = []; // [numbers of a frame, NaN where a joint is missing]
    this.sign = -1; // d = sign * z
    this.centres = {}; // side -> middle of the hand in each frame
  }

  get length() { return this.frames.length; }
  get seconds() { return this.length / this.fps; }
  get flat() { return this.skeleton.dims === 2; }

  /** Adds frames of the API. */
  add(frames) {
    const before = this.length;
    for (const numbers of frames) {
      this.frames.push(Float32Array.from(numbers, (n) => n ?? NaN));
    }
    for (const side of Object.keys(this.skeleton.hands)) this.#addCentres(side, before);
    if (!this.flat) this.sign = this.#depthSign();
  }

  /** The hands that any frame shows. */
  seenHands() {
    return Object.keys(this.skeleton.hands).filter((side) => {
      const root = this.skeleton.hands[side];
      return this.frames.some((_, t) => {
        for (let j = 1; j < HAND_JOINTS; j += 1) if (this.at(t, root + j)) return true;
        return false;
      });
    });
  }

  /** A joint [x, y, d] of a frame; null where it is missing. */
  at(t, joint) {
    const { dims } = this.skeleton, f = this.frames[t], i = dims * joint;
    if (Number.isNaN(f[i])) return null;
    return [f[i], f[i + 1], dims === 3 ? this.sign * f[i + 2] : 0];
  }

  /** A joint at a time in frames, between two frames interpolated. */
  joint(at, joint) {
    return mix(at, this.length, (t) => this.at(t, joint));
  }

  /** A weighted sum of joints, as the figure's description has it. */
  point(at, { joints, weights }) {
    const sum = [0, 0, 0];
    for (let i = 0; i < joints.length; i += 1) {
      const p = this.joint(at, joints[i]);
      if (!p) return null;
      for (let k = 0; k < 3; k += 1) sum[k] += weights[i] * p[k];
    }
    return sum;
  }

  /** The smoothed middle of a hand. */
  handCentre(at, side) {
    return mix(at, this.length, (t) => {
      const p = this.centres[side][t];
      return p && [p[0], p[1], this.sign * p[2]];
    });
  }

  // The sign of depth from one camera is ambiguous: mirrored poses look the
  // same. People sign in front of their body, so the sign is the one that
  // puts the wrists before the shoulders.
  #depthSign() {
    const { joints, dims } = this.skeleton, ahead = [];
    for (const side of ["right", "left"]) {
      const [shoulder, wrist] = ["shoulder", "wrist"].map(
        (name) => dims * joints.indexOf(`${side}_${name}`) + 2);
      for (const f of this.frames) {
        const way = f[wrist] - f[shoulder];
        if (!Number.isNaN(way)) ahead.push(way);
      }
    }
    return median(ahead) > 0 ? 1 : -1;
  }

  // The middle is the wrist plus the smoothed way from the wrist to the mean
  // joint; without the wrist the mean joint. Those near the end of the known
  // frames change with new frames.
  #addCentres(side, before) {
    const root = this.skeleton.hands[side];
    const reach = Math.max(1, Math.round(this.fps * MIDDLE.reach));
    const kept = Math.max(0, before - reach), known = this.centres[side] ?? [];
    const z = (p) => [p[0], p[1], this.sign * p[2]]; // the sign may change later
    const hands = this.frames.map((_, t) => {
      if (t < kept - reach) return null; // not needed again
      const joints = [];
      for (let j = 0; j < HAND_JOINTS; j += 1) joints.push(this.at(t, root + j));
      const seen = joints.filter(Boolean).map(z);
      const middle = [0, 1, 2].map((k) => seen.reduce((sum, p) => sum + p[k], 0) / seen.length);
      return { wrist: joints[0] && z(joints[0]), middle, all: seen.length === HAND_JOINTS, any: seen.length > 0 };
    });
    this.centres[side] = hands.map((hand, t) => {
      if (t < kept) return known[t];
      if (!hand.any) return null;
      let weight = 0;
      const sum = [0, 0, 0];
      for (let s = Math.max(0, t - reach); s <= Math.min(hands.length - 1, t + reach); s += 1) {
        const { all, wrist, middle } = hands[s];
        if (!all) continue;
        const w = Math.exp(-0.5 * ((s - t) / (this.fps * MIDDLE.width)) ** 2);
        weight += w;
        for (let k = 0; k < 3; k += 1) sum[k] += w * (middle[k] - wrist[k]);
      }
      if (!hand.wrist || weight < 1e-9) return hand.middle;
      return hand.wrist.map((v, k) => v + sum[k] / weight);
    });
  }
}

function mix(at, length, find) {
  const t = Math.min(Math.max(at, 0), length - 1), share = t % 1;
  const a = find(Math.floor(t));
  if (!share || !a) return a;
  const b = find(Math.ceil(t));
  return b && a.map((v, k) => v * (1 - share) + b[k] * share);
}

export function median(values) { return percentile(values, 50); }

export function percentile(values, share) {
  if (!values.length) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share / 100) * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}
