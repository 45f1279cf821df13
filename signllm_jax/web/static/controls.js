// Wires the controls of the playback, the view and the keyboard.

const at = (id) => document.getElementById(id);

/**
 * @param {Player} player
 * @param {() => Stage} stage
 * @param {{again: () => void, another: () => void}} actions sign the shown text
 *   again with other postprocessing, or in another way
 */
export function wireControls(player, stage, actions) {
  const toggleLoop = () => {
    player.loop = !player.loop;
    at("loop").setAttribute("aria-pressed", String(player.loop));
  };
  const clicks = {
    back: () => player.step(-1),
    forth: () => player.step(1),
    play: () => player.toggle(),
    loop: toggleLoop,
    front: () => stage().look("front"),
    signer: () => stage().look("signer"),
    closer: () => stage().look("closer", 1.25),
    farther: () => stage().look("closer", 0.8),
    another: actions.another,
  };
  for (const [id, act] of Object.entries(clicks)) at(id).addEventListener("click", act);
  for (const id of ["smooth", "bones"]) {
    at(id).addEventListener("click", () => {
      at(id).setAttribute("aria-pressed", String(!pressed(id)));
      actions.again();
    });
  }
  at("time").addEventListener("input", () => {
    const frame = Number(at("time").value); // before pausing moves it back
    player.pause();
    player.seek(frame);
  });
  at("speed").addEventListener("change", () => { player.speed = Number(at("speed").value); });
  const keys = {
    " ": clicks.play, ",": clicks.back, ".": clicks.forth, "+": clicks.closer, "-": clicks.farther,
    f: () => stage().flat || clicks.front(), s: () => stage().flat || clicks.signer(),
    l: toggleLoop, a: actions.another,
  };
  document.addEventListener("keydown", (event) => {
    // Controls with keys of their own keep them.
    const own = event.target.closest("input, select, button, a, textarea");
    if (own || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key.toLowerCase()];
    if (!act || !player.length) return;
    event.preventDefault();
    act();
  });
}

export function pressed(id) { return at(id).getAttribute("aria-pressed") === "true"; }

/** Shows which of the standard views the camera has. */
export function showView(camera) {
  const near = (angle) => Math.abs(camera.yaw - angle) < 0.01 || Math.abs(camera.yaw + angle) < 0.01;
  at("front").setAttribute("aria-pressed", String(near(0) && camera.pitch === 0));
  at("signer").setAttribute("aria-pressed", String(near(Math.PI)));
}

/** Shows the time of the player, and the token it has reached. */
export function showTime({ frame, length, fps, playing }, token) {
  at("time").max = String(Math.max(length - 1, 1));
  at("time").value = String(frame);
  at("clock").textContent = `${(frame / fps).toFixed(2)} / ${(Math.max(length - 1, 0) / fps).toFixed(2)} s`;
  at("time").setAttribute("aria-valuetext",
    `frame ${Math.min(frame + 1, length)} of ${length}${token ? `, ${token}` : ""}`);
  at("play").toggleAttribute("data-playing", playing);
  at("play").setAttribute("aria-label", playing ? "Pause" : "Play");
}

export function allowPlayback(allowed) {
  for (const id of ["play", "back", "forth", "time"]) at(id).disabled = !allowed;
}
