// Requests to the server: JSON, streams of JSON lines, and files.

async function refuse(response) {
  let detail = `The server answered ${response.status}.`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch { /* not a problem in JSON: the status says it */ }
  throw new Error(detail);
}

async function post(path, body, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  return response.ok ? response : refuse(response);
}

export async function info() {
  const response = await fetch("/v1/info");
  return response.ok ? response.json() : refuse(response);
}

/** Yields the lines of a signing: start, frames..., end. */
export async function* sign(body, signal) {
  const response = await post("/v1/sign/stream", body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

/** Lets the browser save a clip as a file. */
export async function download(body) {
  const response = await post("/v1/download", body);
  const disposition = response.headers.get("content-disposition") ?? "";
  const [, full] = /filename\*=UTF-8''([^;]+)/.exec(disposition) ?? [];
  const [, plain] = /filename="([^"]+)"/.exec(disposition) ?? [];
  const name = full ? decodeURIComponent(full) : plain ?? "signing";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}
