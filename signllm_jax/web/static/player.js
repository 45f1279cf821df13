// The playback clock: plays, pauses, steps, loops.

export class Player extends EventTarget {
  constructor() {
    super();
    this.fps = 25;
    this.length = 0; // frames of the longest clip
    this.at = 0; // frames, between two while playing
    this.speed = 1;
    this.loop = true;
    this.growing = false; // whether more frames will follow
    this.playing = false;
  }

  get frame() { return Math.min(Math.floor(this.at), Math.max(this.length - 1, 0)); }

  /** Counts frames of the first of these clips, to the end of the longest. */
  follow(clips) {
    const { fps } = clips[0];
    this.extend(fps, Math.ceil(Math.max(...clips.map((clip) => clip.length * fps / clip.fps))));
  }

  /** The frame of a clip now, of another frame rate too. */
  frameOf(clip) { return Math.min(this.at * clip.fps / this.fps, clip.length - 1); }

  /** Sets the number of frames; the time stays. */
  extend(fps, length) {
    this.fps = fps;
    this.length = length;
    this.#changed();
  }

  restart() { this.at = 0; this.#changed(); }

  play() {
    if (this.playing || !this.length) return;
    if (this.at >= this.length - 1) this.at = 0;
    this.playing = true;
    this.last = performance.now();
    requestAnimationFrame((now) => this.#tick(now));
    this.#changed();
  }

  pause() {
    this.playing = false;
    this.at = this.frame; // a whole frame, not between two
    this.#changed();
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  seek(frame) {
    this.at = Math.min(Math.max(frame, 0), Math.max(this.length - 1, 0));
    this.#changed();
  }

  step(frames) {
    this.pause();
    this.seek(this.frame + frames);
  }

  #tick(now) {
    if (!this.playing) return;
    // A frame's timestamp may lie before the call of `play`.
    const seconds = Math.max(now - this.last, 0) / 1000;
    this.at += seconds * this.fps * this.speed;
    this.last = Math.max(now, this.last);
    if (this.growing) this.at = Math.min(this.at, this.length - 1);
    // The last frame stays half a second before it starts again.
    const rest = this.loop ? this.fps / 2 : 0;
    if (!this.growing && this.at >= this.length - 1 + rest) {
      if (!this.loop) { this.at = this.length - 1; this.pause(); return; }
      this.at = 0;
    }
    this.#changed();
    requestAnimationFrame((next) => this.#tick(next));
  }

  #changed() { this.dispatchEvent(new Event("change")); }
}
