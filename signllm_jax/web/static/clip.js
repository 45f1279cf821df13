// A clip in the browser and its geometry.
//
// Axes: x right, y down, d towards the viewer, in canonical units.

const NOSE = 0, NECK = 1, SHOULDERS = [2, 5], WRISTS = [4, 7, 8, 29];
const HAND_JOINTS = 21;
const GROWTH = 1.25; // of a clip, after which its extent is measured again

export class Clip {
  /** @param {number} fps @param {{right: number, left: number}} hands */
  constructor(fps, hands) {
    this.fps = fps;
    this.hands = hands;
    this.frames = []; // [150 numbers, NaN where a joint is missing]
    this.sign = -1; // d = sign * z
    this.measured = 0; // frames
    this.handCentres = {}; // side -> position in each frame
  }

  get length() { return this.frames.length; }
  get seconds() { return this.length / this.fps; }

  /** Adds frames of the API. Call `measure` after the last of them. */
  add(frames) {
    const before = this.length;
    for (const numbers of frames) {
      this.frames.push(Float32Array.from(numbers, (n) => n ?? NaN));
    }
    for (const [side, root] of Object.entries(this.hands)) {
      this.handCentres[side] = this.#handCentres(root, this.handCentres[side], before);
    }
    if (this.length >= GROWTH * this.measured) this.measure();
  }

  /** Computes values of the whole clip: sign of depth, extent, head size. */
  measure() {
    this.measured = this.length;
    this.sign = this.#depthSign();
    this.box = this.#boxOf(this.#bodyPoints(), 0.002);
    this.head = 0.55 * median(this.frames.map((f) => Math.hypot(
      f[3 * NOSE] - f[3 * NECK], f[3 * NOSE + 1] - f[3 * NECK + 1])));
    this.handBoxes = {};
    for (const side of this.seenHands()) {
      this.handBoxes[side] = this.#boxOf(this.#handPoints(side), 0.01);
    }
  }

  /** The hands that any frame shows. */
  seenHands() {
    return Object.keys(this.hands).filter((side) => {
      const first = 3 * (this.hands[side] + 1);
      return this.frames.some((f) => !Number.isNaN(f[first]));
    });
  }

  /** The joint at a time in frames, interpolated between two frames. */
  joint(at, index) {
    return lerp(this.frames, at, 3 * index, this.sign);
  }

  /** The smoothed centre of a hand. */
  handCentre(at, side) {
    return lerp(this.handCentres[side], at, 0, this.sign);
  }

  // The sign of depth from one camera is ambiguous: mirrored poses look the
  // same. People sign in front of their body, so the sign is the one that
  // puts the wrists before the shoulders.
  #depthSign() {
    const ahead = [];
    for (const f of this.frames) {
      const shoulders = mean(SHOULDERS.map((j) => f[3 * j + 2]));
      const wrists = mean(WRISTS.map((j) => f[3 * j + 2]));
      if (Number.isFinite(wrists - shoulders)) ahead.push(wrists - shoulders);
    }
    return median(ahead) > 0 ? 1 : -1;
  }

  #bodyPoints() {
    const points = [];
    for (const f of this.frames) {
      for (let j = 0; j < f.length; j += 3) {
        if (!Number.isNaN(f[j])) points.push([f[j], f[j + 1], this.sign * f[j + 2]]);
      }
    }
    return points;
  }

  // Centres near the end of the known frames change with new frames.
  #handCentres(root, known = [], before = 0) {
    const reach = Math.max(1, Math.round(this.fps));
    const kept = Math.max(0, before - reach);
    const ways = this.frames.map((f) => {
      const joints = [];
      for (let j = root; j < root + HAND_JOINTS; j += 1) {
        joints.push([f[3 * j], f[3 * j + 1], f[3 * j + 2]]);
      }
      return [0, 1, 2].map((k) => mean(joints.map((p) => p[k])) - f[3 * root + k]);
    });
    return this.frames.map((f, t) => {
      if (t < kept) return known[t];
      let weight = 0;
      const sum = [0, 0, 0];
      for (let s = Math.max(0, t - reach); s <= Math.min(ways.length - 1, t + reach); s += 1) {
        if (Number.isNaN(ways[s][0])) continue;
        const w = Math.exp(-0.5 * ((s - t) / (this.fps / 4)) ** 2);
        weight += w;
        ways[s].forEach((value, k) => { sum[k] += w * value; });
      }
      return [0, 1, 2].map((k) => f[3 * root + k] + sum[k] / weight);
    });
  }

  #handPoints(side) {
    const points = [];
    this.frames.forEach((f, t) => {
      const centre = this.handCentres[side][t];
      for (let j = this.hands[side]; j < this.hands[side] + HAND_JOINTS; j += 1) {
        const p = [0, 1, 2].map((k) => f[3 * j + k] - centre[k]);
        if (!Number.isNaN(p[0])) points.push([p[0], p[1], this.sign * p[2]]);
      }
    });
    return points;
  }

  // The box of nearly all points: outliers would make the figure small.
  #boxOf(points, left) {
    return [0, 1, 2].map((k) => {
      const values = Float32Array.from(points, (p) => p[k]).sort();
      const at = (share) => values[Math.round(share * (values.length - 1))];
      return { low: at(left), high: at(1 - left) };
    });
  }
}

function lerp(rows, at, index, sign) {
  const t = Math.min(Math.max(at, 0), rows.length - 1);
  const a = rows[Math.floor(t)], b = rows[Math.ceil(t)], share = t % 1;
  const mix = (k) => a[index + k] * (1 - share) + b[index + k] * share;
  return [mix(0), mix(1), sign * mix(2)];
}

function mean(values) {
  const seen = values.filter((v) => !Number.isNaN(v));
  return seen.reduce((sum, v) => sum + v, 0) / seen.length;
}

function median(values) {
  const seen = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  return seen.length ? seen[seen.length >> 1] : 0;
}
