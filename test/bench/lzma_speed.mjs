// Times one decoder for lzma_speed.py: a file of blocks (bytes stored and raw as u32, then data), a module with decompressXzInto.
// For each line on standard input it decodes all blocks once and writes the seconds of CPU that took.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [, , file, module] = process.argv;
const { decompressXzInto } = await import(pathToFileURL(resolve(module)).href);
const data = readFileSync(file);
const blocks = [];
let largest = 0;
for (let at = 0; at < data.length; ) {
  const [stored, raw] = [data.readUInt32LE(at), data.readUInt32LE(at + 4)];
  blocks.push({ source: data.subarray(at + 8, at + 8 + stored), raw });
  largest = Math.max(largest, raw);
  at += 8 + stored;
}
const target = new Uint8Array(largest);
for await (const _ of createInterface({ input: process.stdin })) {
  const before = process.cpuUsage();
  for (const { source, raw } of blocks) decompressXzInto(source, target.subarray(0, raw));
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}
