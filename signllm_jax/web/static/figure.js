// Draws a clip by the description of its figure: a camera, and a canvas for the
// body or one hand.

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
  /** As far as a figure without depth follows: zoomed, never turned. */
  get flat() { return Object.assign(new Camera(), { zoom: this.zoom }); }
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
    const { shapes, rules } = clip.skeleton.figure;
    this.rules = rules;
    this.shapes = shapes.map((shape, number) => ({ ...shape, number }))
      .filter((shape) => !side || shape.side === side);
  }

  /**
   * @param {number} at time in frames
   * @param {Camera} camera
   * @param {Record<string, string>} colours a theme of /v1/info
   * @param {object} view of `fit`
   */
  draw(at, camera, colours, view) {
    const { canvas, context, clip, side } = this;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.fillStyle = colours.card;
    context.fillRect(0, 0, width, height);
    const middle = side ? clip.length && clip.handCentre(at, side) : view.centre;
    if (!clip.length || !width || !middle) return;
    Object.assign(this, { at, colours, view, ratio });
    const seenFrom = clip.flat ? camera.flat : camera;
    const size = { width, height };
    let marks = this.#marks(seenFrom, middle, size, 1);
    if (side) { // whole in its card, unless the viewer has come closer
      const room = this.#reach(marks, size) / Math.max(seenFrom.zoom, 1);
      if (room > 1) marks = this.#marks(seenFrom, middle, size, 1 / (1.02 * room));
    }
    for (const mark of this.#ordered(marks, seenFrom.behind)) this.#paint(mark, seenFrom.behind);
  }

  // The shapes with their points in pixels: [x, y, pixels a unit, depth].
  #marks(camera, middle, size, shrink) {
    const project = this.#projection(camera, middle, size, shrink);
    const { clip, at, view } = this;
    return this.shapes.map((shape) => {
      const points = shape.points.map((point) => {
        const p = clip.point(at, point);
        return p && project([p[0], p[1] + point.down * view.shoulders, p[2]]);
      });
      const seen = points.filter(Boolean);
      const mean = (k) => seen.reduce((sum, p) => sum + p[k], 0) / Math.max(seen.length, 1);
      return { shape, points, seen, depth: mean(3), width: shape.width * view[shape.unit] * mean(2) };
    });
  }

  #projection(camera, middle, { width, height }, shrink) {
    const { side, view } = this;
    const cos = Math.cos(camera.yaw), sin = Math.sin(camera.yaw);
    const cosP = Math.cos(camera.pitch), sinP = Math.sin(camera.pitch);
    let wide = view.hand, high = view.hand;
    if (!side) {
      const [x, y, d] = view.half;
      wide = Math.abs(cos) * x + Math.abs(sin) * d;
      high = cosP * y + Math.abs(sinP) * (Math.abs(sin) * x + Math.abs(cos) * d);
    }
    const scale = Math.min(width / wide, height / high) / 2 * camera.zoom * shrink;
    // Parallel, as in the files: what is near is not larger.
    return (p) => {
      const x = p[0] - middle[0], y = p[1] - middle[1], d = p[2] - middle[2];
      const x1 = x * cos + d * sin, d1 = d * cos - x * sin;
      const y2 = y * cosP + d1 * sinP, d2 = d1 * cosP - y * sinP;
      return [width / 2 + x1 * scale, height / 2 + y2 * scale, scale, d2];
    };
  }

  /** How far marks reach from the middle, as a share of the way to the edge. */
  #reach(marks, { width, height }) {
    let reach = 0;
    for (const { seen, shape, width: line } of marks) {
      const half = line / 2 * (shape.halo ? this.rules.halo : 1);
      for (const [x, y] of seen) {
        reach = Math.max(reach, (Math.abs(x - width / 2) + half) / (width / 2),
          (Math.abs(y - height / 2) + half) / (height / 2));
      }
    }
    return reach;
  }

  // From back to front: by layer, in arms and hands by depth.
  #ordered(marks, behind) {
    const { deep } = this.rules, layers = behind ? this.rules.behind : this.rules.layers;
    const depths = new Map(marks.map(({ shape, depth }) => [shape.number, depth]));
    const key = ({ shape, depth }) => [
      layers.indexOf(shape.layer),
      deep.includes(shape.layer) && !this.clip.flat ? depths.get(shape.depth_of) ?? depth : 0,
      shape.number,
    ];
    return marks.map((mark) => ({ mark, key: key(mark) })).sort((a, b) => {
      const k = a.key.findIndex((value, i) => value !== b.key[i]);
      return k < 0 ? 0 : a.key[k] - b.key[k];
    }).map(({ mark }) => mark);
  }

  #paint({ shape, points, seen, width }, behind) {
    const { context, colours, rules } = this;
    // Seen from behind, the body must not hide the hands.
    context.globalAlpha = behind && ["torso", "head", "face"].includes(shape.layer) ? 0.5 : 1;
    context.lineCap = context.lineJoin = "round";
    if (shape.kind === "disc") {
      if (seen.length && this.view.head) this.#disc(seen[0], shape, width);
    } else if (shape.kind === "wedge") {
      if (seen.length === 2) this.#fill(wedge(seen, width), colours[shape.colour]);
    } else if (shape.kind === "area") {
      if (seen.length < shape.needs) return;
      if (shape.fill) this.#fill(seen, colours[shape.fill], shape.smooth);
      if (shape.colour) this.#stroke(seen, colours[shape.colour], width, shape.smooth, true);
    } else {
      const runs = runsOf(points);
      for (const run of shape.halo ? runs : []) {
        const start = [0, 1].map((k) => (run[0][k] + run[1][k]) / 2);
        this.#stroke([start, ...run.slice(1)], colours.card, rules.halo * width);
      }
      for (const run of runs) this.#stroke(run, colours[shape.colour], width, shape.smooth);
    }
    context.globalAlpha = 1;
  }

  #disc([x, y, near], shape, width) {
    const radius = this.view.head * near, { context, colours, rules } = this;
    context.beginPath();
    context.arc(x, y - rules.head_lift * radius, radius, 0, 2 * Math.PI);
    context.fillStyle = colours[shape.fill];
    context.fill();
    context.lineWidth = width;
    context.strokeStyle = colours[shape.colour];
    context.stroke();
  }

  #fill(points, colour, smooth = false) {
    trace(this.context, points, smooth, true);
    this.context.fillStyle = colour;
    this.context.fill();
  }

  #stroke(points, colour, width, smooth = false, closed = false) {
    trace(this.context, points, smooth, closed);
    this.context.strokeStyle = colour;
    this.context.lineWidth = Math.max(width, this.ratio);
    this.context.stroke();
  }
}

/** The points that follow each other and are seen. */
function runsOf(points) {
  const runs = [[]];
  for (const point of points) {
    if (point) runs.at(-1).push(point);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length > 1);
}

/** The corners of a wedge, half as wide at its start. */
function wedge([a, b], width) {
  const way = [b[0] - a[0], b[1] - a[1]], long = Math.max(Math.hypot(...way), 1e-6);
  const across = [-way[1] / long * width / 2, way[0] / long * width / 2];
  const beside = (p, share) => [p[0] + share * across[0], p[1] + share * across[1]];
  return [beside(a, -0.5), beside(a, 0.5), beside(b, 1), beside(b, -1)];
}

/** Begins a path through points; a smooth one is a Catmull-Rom curve. */
function trace(context, points, smooth, closed) {
  context.beginPath();
  context.moveTo(points[0][0], points[0][1]);
  const count = points.length;
  const at = (i) => points[closed ? (i + count) % count : Math.min(Math.max(i, 0), count - 1)];
  for (let i = 0; i < (closed ? count : count - 1); i += 1) {
    const end = at(i + 1);
    if (smooth && count > 2) {
      const slope = (j, k) => (at(j + 1)[k] - at(j - 1)[k]) / 6;
      context.bezierCurveTo(
        at(i)[0] + slope(i, 0), at(i)[1] + slope(i, 1),
        end[0] - slope(i + 1, 0), end[1] - slope(i + 1, 1), end[0], end[1]);
    } else context.lineTo(end[0], end[1]);
  }
  if (closed) context.closePath();
}
