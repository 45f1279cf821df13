// Draws a clip: a camera, and a canvas for the body or one hand.

const FINGERS = 5, JOINTS_A_FINGER = 4;
const NOSE = 0, NECK = 1;
const ARMS = { right: [2, 3, 4], left: [5, 6, 7] };
const EYE = 7; // distance of the viewer, in half widths of the view

/** The viewpoint of all figures. */
export class Camera {
  constructor() { this.front(); }
  front() { this.yaw = 0; this.pitch = 0; this.zoom = 1; }
  /** From behind and a little above, as signers see their own hands. */
  signer() { this.yaw = Math.PI; this.pitch = 0.32; this.zoom = 1; }
  get behind() { return Math.cos(this.yaw) < 0; }
  turn(yaw, pitch) {
    this.yaw = Math.atan2(Math.sin(this.yaw + yaw), Math.cos(this.yaw + yaw));
    this.pitch = Math.min(Math.max(this.pitch + pitch, -1.2), 1.2);
  }
  closer(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.5), 6);
  }
}

/** Colours of the page for the canvas. */
export function palette(skeleton) {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const tone = (colour) => (dark ? mix(colour, "#ffffff", 0.3) : colour);
  const card = of("--card");
  return {
    card, bone: of("--bone"), torso: of("--torso"), page: of("--page"),
    right: skeleton.colours.right.map(tone),
    left: skeleton.colours.left.map(tone),
    palms: {
      right: mix(card, skeleton.colours.right[0], 0.22),
      left: mix(card, skeleton.colours.left[0], 0.22),
    },
  };
}

function mix(a, b, share) {
  const parts = (c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
  const x = parts(a), y = parts(b);
  return `rgb(${x.map((v, i) => Math.round(v + (y[i] - v) * share)).join(" ")})`;
}

export class Figure {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Clip} clip
   * @param {"right"|"left"|null} side one hand, or null for the whole body
   */
  constructor(canvas, clip, side) {
    Object.assign(this, { canvas, clip, side });
    this.context = canvas.getContext("2d");
  }

  /** @param {number} at time in frames */
  draw(at, camera, colours) {
    const { canvas, context, clip } = this;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.fillStyle = colours.card;
    context.fillRect(0, 0, width, height);
    if (!clip.length || !width) return;
    this.#look(at, camera, width, height);
    this.shapes = [];
    if (this.side) {
      this.#hand(at, colours, this.side, 0.075);
    } else {
      this.#body(at, colours, camera);
    }
    this.shapes.sort((a, b) => a.depth - b.depth);
    for (const shape of this.shapes) shape.paint();
  }

  // Sets `this.project`: space -> [x, y, pixels a unit, depth].
  #look(at, camera, width, height) {
    const { clip, side } = this;
    const box = side ? clip.handBoxes[side] : clip.box;
    const size = box.map((axis) => (side
      ? Math.max(axis.high, -axis.low) : (axis.high - axis.low) / 2));
    const cos = Math.cos(camera.yaw), sin = Math.sin(camera.yaw);
    const cosP = Math.cos(camera.pitch), sinP = Math.sin(camera.pitch);
    const wide = Math.abs(cos) * size[0] + Math.abs(sin) * size[2];
    const across = Math.abs(sin) * size[0] + Math.abs(cos) * size[2];
    const high = cosP * size[1] + Math.abs(sinP) * across
      + (side ? 0 : 1.3 * clip.head);
    const room = side ? 1.08 : 1.12;
    const scale = Math.min(width / wide, height / high) / (2 * room) * camera.zoom;
    const eye = EYE * Math.max(wide, high) * room;
    const middle = side
      ? clip.handCentre(at, side)
      : this.#middle();
    this.project = (p) => {
      const x = p[0] - middle[0], y = p[1] - middle[1], d = p[2] - middle[2];
      const x1 = x * cos + d * sin, d1 = d * cos - x * sin;
      const y2 = y * cosP + d1 * sinP, d2 = d1 * cosP - y * sinP;
      const near = scale * eye / Math.max(eye - d2, eye / 4);
      return [width / 2 + x1 * near, height / 2 + y2 * near, near, d2];
    };
    this.unit = scale;
  }

  #middle() {
    const { box, head } = this.clip;
    const [x, y, d] = box.map((axis) => (axis.low + axis.high) / 2);
    return [x, y - 0.65 * head, d];
  }

  #joint(at, index) {
    const p = this.clip.joint(at, index);
    return Number.isNaN(p[0]) ? null : this.project(p);
  }

  #body(at, colours, camera) {
    const clip = this.clip;
    const joint = (index) => this.#joint(at, index);
    const right = joint(ARMS.right[0]), left = joint(ARMS.left[0]);
    const neck = joint(NECK), nose = joint(NOSE);
    if (right && left) this.#torso(at, colours, camera.behind);
    const bone = (a, b, colour, width) => {
      if (a && b) this.#line([a, b], colour, width);
    };
    bone(right, neck, colours.bone, 0.036);
    bone(left, neck, colours.bone, 0.036);
    bone(nose, neck, colours.bone, 0.036);
    if (nose) {
      const depth = neck ? Math.max(nose[3], (nose[3] + neck[3]) / 2) : nose[3];
      this.#head(nose, depth + 1e-3, colours, camera.behind);
    }
    for (const side of ["left", "right"]) {
      const [shoulder, elbow, wrist] = ARMS[side].map(joint);
      const hand = joint(clip.hands[side]);
      bone(shoulder, elbow, colours[side][0], 0.036);
      bone(elbow, wrist, colours[side][0], 0.031);
      bone(wrist, hand, colours[side][0], 0.024);
      this.#hand(at, colours, side, 0.017);
    }
  }

  #torso(at, colours, behind) {
    const right = this.clip.joint(at, ARMS.right[0]);
    const left = this.clip.joint(at, ARMS.left[0]);
    const across = left.map((v, k) => v - right[k]);
    const drop = 2.2 * Math.hypot(...across);
    const below = (p, inwards) => this.project(
      [p[0] + inwards * across[0], p[1] + drop, p[2] + inwards * across[2]]);
    const corners = [this.project(right), this.project(left), below(left, -0.1), below(right, 0.1)];
    // Seen from behind, the body must not hide the hands.
    this.#shape((corners[0][3] + corners[1][3]) / 2 - 0.05, behind ? 0.45 : 1, () => {
      this.#path(corners);
      this.context.fillStyle = colours.torso;
      this.context.fill();
    });
  }

  #head(nose, depth, colours, behind) {
    this.#shape(depth, behind ? 0.5 : 1, () => {
      const radius = this.clip.head * nose[2];
      const { context } = this;
      context.beginPath();
      context.arc(nose[0], nose[1] - 0.12 * radius, radius, 0, 2 * Math.PI);
      context.fillStyle = colours.page;
      context.fill();
      context.lineWidth = 0.014 * nose[2];
      context.strokeStyle = colours.bone;
      context.stroke();
    });
  }

  // `thick`: width of a finger as a share of the view's unit or the hand's.
  #hand(at, colours, side, thick) {
    const root = this.clip.hands[side];
    const joint = (index) => this.#joint(at, root + index);
    const palm = [0, 1, 5, 9, 13, 17].map(joint);
    const width = this.side ? thick * this.#handSize() : thick;
    if (palm.every(Boolean)) {
      const depth = palm.reduce((sum, p) => sum + p[3], 0) / palm.length;
      this.#shape(depth - width / 2, 1, () => {
        this.#path(palm);
        this.context.fillStyle = colours.palms[side];
        this.context.fill();
      });
    }
    for (let finger = 0; finger < FINGERS; finger += 1) {
      const first = 1 + JOINTS_A_FINGER * finger;
      const chain = [first, first + 1, first + 2, first + 3].map(joint);
      const colour = colours[side][1 + finger];
      const base = joint(0);
      if (base && chain[0]) this.#line([base, chain[0]], colour, 0.5 * width);
      // A finger that is seen in part keeps the joints that follow each other.
      const end = chain.indexOf(null);
      const seen = end < 0 ? chain : chain.slice(0, end);
      if (seen.length > 1) this.#line(seen, colour, width, colours.card);
    }
  }

  #handSize() {
    const box = this.clip.handBoxes[this.side];
    return Math.max(box[0].high - box[0].low, box[1].high - box[1].low);
  }

  // A limb or finger, wider where nearer; a halo separates it from crossed ones.
  #line(points, colour, width, halo = null) {
    const mean = (k) => points.reduce((sum, p) => sum + p[k], 0) / points.length;
    this.#shape(mean(3), 1, () => {
      const { context } = this;
      context.lineCap = "round";
      context.lineJoin = "round";
      this.#path(points);
      if (halo) {
        context.strokeStyle = halo;
        context.lineWidth = 1.4 * width * mean(2);
        context.stroke();
      }
      context.strokeStyle = colour;
      context.lineWidth = Math.max(width * mean(2), 1.5);
      context.stroke();
    });
  }

  #path(points) {
    const { context } = this;
    context.beginPath();
    points.forEach((p, i) => (i ? context.lineTo(p[0], p[1]) : context.moveTo(p[0], p[1])));
  }

  #shape(depth, alpha, draw) {
    this.shapes.push({
      depth,
      paint: () => {
        this.context.globalAlpha = alpha;
        draw();
        this.context.globalAlpha = 1;
      },
    });
  }
}
