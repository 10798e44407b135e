// Owns making an instance of a WebAssembly module that lies in the program as text.

/** What this file uses of the global, which the types of Node leave out. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** `base64`: a module without imports. Throws where WebAssembly, its vectors or room for its memory are missing. */
export function instantiate<Exports>(base64: string): Exports {
  const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly;
  return new Instance(new Module(Buffer.from(base64, 'base64'))).exports as Exports;
}
