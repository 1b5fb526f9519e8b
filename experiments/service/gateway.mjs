// A gateway as many are written: it passes each request on to the model, and the answer back as it comes.
//
// Its client is Node's own fetch, which is undici with its own defaults: 300 s from one piece of an answer to the next.

import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

export function serve(options) {
  createServer(async (request, response) => {
    try {
      const body = Buffer.concat(await request.toArray());
      const answer = await fetch(`http://model:8000${request.url}`, { method: "POST", body, ...options });
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
      await pipeline(Readable.fromWeb(answer.body), response);
    } catch {
      response.destroy();
    }
  }).listen(8080);
}

if (fileURLToPath(import.meta.url) === process.argv[1]) serve({});
