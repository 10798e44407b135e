// Owns doing several things at a time, but not too many.

/** Runs `work` for each item, at most `width` at once. The first error is thrown when all that had begun have ended. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed: { readonly cause: unknown } | undefined;
  const lane = async () => {
    while (next < items.length && failed === undefined) {
      const item = items[next++]!;
      await work(item).catch((cause) => {
        failed ??= { cause };
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  if (failed !== undefined) throw failed.cause;
}
