// Owns the types of the few things that we use of jsroot, which has none for this module.
declare module 'jsroot/io' {
  export class FileProxy {}
  export interface TFile {
    readonly fStreamerInfos: { readonly arr?: readonly unknown[] } | null;
    extractStreamerInfos(buffer: TBuffer): void;
  }
  /** A member that may be an array: so many dimensions of these sizes, or one of a length. */
  export interface ArrayMember {
    readonly fArrayDim?: number;
    readonly fArrayLength?: number;
    readonly fMaxIndex?: ArrayLike<number>;
  }
  export class TBuffer {
    o: number;
    readonly length: number;
    readonly arr: DataView;
    fTagOffset: number;
    constructor(view: DataView, position: number, file: TFile);
    mapObject(tag: number, object: object): void;
    classStreamer(target: object, className: string): object;
    readVersion(): { readonly val: number; readonly off: number; readonly bytecnt?: number };
    checkByteCount(version: { readonly off: number; readonly bytecnt?: number }, where?: string): boolean;
    readFastArray(count: number, type: number): ArrayLike<unknown>;
    readNdimArray(member: ArrayMember, readItem: (buffer: TBuffer, member: ArrayMember) => unknown): unknown;
    readTString(): string;
    readObjectAny(): unknown;
    ntoi1(): number;
    ntoi4(): number;
  }
  export function openFile(proxy: FileProxy): Promise<TFile | false>;
}
