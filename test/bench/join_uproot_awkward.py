"""The peer `uproot+awkward`: left join by key as one writes it by hand today: read all, sort, search, take, write."""
import warnings

import awkward as ak
import numpy as np
import uproot

from common import KEY, ROW_GROUP_ROWS, arguments, payload_names

warnings.filterwarnings("ignore")
EVENT_BITS = 40


def read(paths, tree):
    names = set(payload_names(paths[0], tree))
    return uproot.concatenate([f"{path}:{tree}" for path in paths], filter_name=lambda name: name.lstrip("/") in names)


def columns_of_key(table):
    return [table[name].to_numpy() for name in KEY]


def packed(runs, lumis, events, blocks):
    """Block number and event number in one word; sorted as the key is."""
    code = np.searchsorted(blocks, (runs.astype("u8") << np.uint64(32)) | lumis).astype("u8")
    return (code << np.uint64(EVENT_BITS)) | events.astype("u8")


def match(primary, friend):
    """For each row of the primary its row of the friend, and whether there is one."""
    p, f = columns_of_key(primary), columns_of_key(friend)
    order = np.lexsort(f[::-1])
    block = lambda key: (key[0].astype("u8") << np.uint64(32)) | key[1]
    blocks = np.unique(np.concatenate([block(f), block(p)]))
    assert max(f[2].max(), p[2].max()) < 2**EVENT_BITS and len(blocks) < 2 ** (64 - EVENT_BITS)
    wanted = np.lexsort(p[::-1])
    have, want = packed(*f, blocks)[order], packed(*p, blocks)[wanted]
    assert (np.diff(have) > 0).all(), "duplicate keys in the friend"
    at = np.searchsorted(have, want)
    at[at == len(have)] = 0
    rows, found = np.empty(len(want), "i8"), np.empty(len(want), bool)
    rows[wanted], found[wanted] = order[at], have[at] == want
    return rows, found


def main():
    given = arguments()
    primary, friend = read(given.primary, given.tree), read(given.friend, given.tree)
    rows, found = match(primary, friend)
    taken = friend[rows] if found.all() else ak.mask(friend[rows], found)
    out = {name: primary[name] for name in primary.fields}
    out.update({name: taken[name] for name in taken.fields if name not in KEY})
    ak.to_parquet(ak.zip(out, depth_limit=1), given.out, compression="zstd", list_to32=True, extensionarray=False, row_group_size=ROW_GROUP_ROWS)


main()
