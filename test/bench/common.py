"""What the peers' scripts share: the command line, the hash that ties a row to its key, and the branches that only count others."""
import argparse

KEY = ("run", "luminosityBlock", "event")
ROW_GROUP_ROWS = 100_000


def hash_of_key(run, lumi, event):
    """splitmix64 of the key: column chk of the friends that make_data.py writes."""
    import numpy as np
    with np.errstate(over="ignore"):
        z = event.astype("u8") * np.uint64(0x9E3779B97F4A7C15) + (run.astype("u8") << np.uint64(32)) + lumi.astype("u8")
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--primary", nargs="+", required=True)
    parser.add_argument("--friend", nargs="+", required=True)
    parser.add_argument("--tree", default="Events")
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", default=".")
    return parser.parse_args()


def payload_names(path, tree):
    """Branches of a file without those that only count the items of others: lists say that themselves."""
    import uproot
    with uproot.open(path) as file:
        branches = file[tree].branches
        counters = {branch.count_branch.name for branch in branches if branch.count_branch is not None}
        return [branch.name for branch in branches if branch.name not in counters]
