// Times a plain stream of a whole object by the `fetch` that Node has (undici), as remote-store.ts times ours, and keeps the bytes:
//   node test/bench/remote-stream.ts URL [REPEATS]      NODE_EXTRA_CA_CERTS names the authority

const [url, repeats = '5'] = process.argv.slice(2);
const seconds: number[] = [];
let checksum = 0;
for (let i = 0; i < Number(repeats); i++) {
  const start = performance.now();
  const answer = await fetch(url!);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
  const bytes = new Uint8Array(Number(answer.headers.get('content-length')));
  let at = 0;
  for await (const chunk of answer.body!) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  if (at !== bytes.length) throw new Error(`fetch read ${at} of ${bytes.length}`);
  seconds.push((performance.now() - start) / 1000);
  checksum = bytes[0]! + bytes[at - 1]!;
}
process.stdout.write(`${JSON.stringify({ what: 'fetch stream', seconds, checksum })}\n`);
