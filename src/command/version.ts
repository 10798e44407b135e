// Owns the version that outputs and `--version` state; the build puts the number in.
declare const COLWEAVE_VERSION: string | undefined;

export const VERSION = typeof COLWEAVE_VERSION === 'string' ? COLWEAVE_VERSION : '0.0.0-source';
export const TOOL = `colweave ${VERSION}`;
