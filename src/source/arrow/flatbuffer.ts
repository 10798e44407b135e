// Owns reading FlatBuffers without believing them: every access is checked by DataView (RangeError) or here.
// Layout: https://flatbuffers.dev/internals/

/** A table: where its vtable offset lies. */
export interface Table {
  readonly view: DataView;
  readonly at: number;
}

/** `count` elements from `start` on. */
export interface Vector {
  readonly start: number;
  readonly count: number;
}

export function rootTable(bytes: Uint8Array): Table {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { view, at: view.getUint32(0, true) };
}

/** Where a field's value lies, or undefined where it has its default. */
export function slot({ view, at }: Table, field: number): number | undefined {
  const vtable = at - view.getInt32(at, true);
  const entry = 4 + 2 * field;
  if (entry + 2 > view.getUint16(vtable, true)) return undefined;
  const offset = view.getUint16(vtable + entry, true);
  return offset === 0 ? undefined : at + offset;
}

function follow(view: DataView, at: number): number {
  return at + view.getUint32(at, true);
}

export function tableAt(parent: Table, field: number): Table | undefined {
  const at = slot(parent, field);
  return at === undefined ? undefined : { view: parent.view, at: follow(parent.view, at) };
}

/** A vector of elements of `bytesEach`, all inside the buffer. */
export function vectorAt(parent: Table, field: number, bytesEach: number): Vector {
  const at = slot(parent, field);
  if (at === undefined) return { start: 0, count: 0 };
  const head = follow(parent.view, at);
  const count = parent.view.getUint32(head, true);
  if (head + 4 + count * bytesEach > parent.view.byteLength) throw new RangeError('a vector runs over the end');
  return { start: head + 4, count };
}

export function tablesAt(parent: Table, field: number): Table[] {
  const { view } = parent;
  const { start, count } = vectorAt(parent, field, 4);
  return Array.from({ length: count }, (_, i) => ({ view, at: follow(view, start + 4 * i) }));
}

export function byteAt(parent: Table, field: number): number {
  const at = slot(parent, field);
  return at === undefined ? 0 : parent.view.getUint8(at);
}

/** A 64-bit size or count, which no file has beyond what a number holds. */
export function sizeAt(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`a size of ${value}`);
  return value;
}

export function textAt(parent: Table, field: number): string {
  const { view } = parent;
  const { start, count } = vectorAt(parent, field, 1);
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + start, count));
}
