#!/usr/bin/env python3
"""Makes data for `colweave bench`: a primary of 46 branches and friends of 20 in NanoAOD's layout, written by ROOT itself.
  make_data.py OUTDIR --events N [--seed S] [--parts primary-zstd,primary-lzma,friend-aligned,friend-regrouped]
More than SET_EVENTS events are made set by set, each with runs of its own, so that memory does not grow with N; files of the regrouped
friend take turns among the sets. Every row of a friend carries chk = hash(run, luminosityBlock, event): a mixed event shows."""
import argparse
import json
import os
import sys
import warnings

import numpy as np

from common import hash_of_key

PARTS = ("primary-zstd", "primary-lzma", "friend-aligned", "friend-regrouped")
SET_EVENTS = 1_000_000
PRIMARY_FILES, REGROUPED_FILES, RUNS = 10, 7, 24      # of one set
LUMI_EVENTS = 137
ZSTD, LZMA = 505, 209                                 # ROOT's algorithm * 100 + level
LEAF = {"b1": "O", "u1": "b", "i4": "I", "u4": "i", "u8": "l", "f4": "F"}

WRITER = r"""
#include "TFile.h"
#include "TTree.h"
#include "TBranch.h"
struct BenchColumns { std::vector<std::string> name, leaf; std::vector<size_t> base, starts, stride; };
void benchWrite(const char* path, int compression, long long rows, const BenchColumns& c) {
  TFile file(path, "RECREATE", "", compression);
  auto tree = new TTree("Events", "Events");
  tree->SetAutoFlush(-10000000); tree->SetAutoSave(0);
  std::vector<TBranch*> branch;
  for (size_t i = 0; i < c.name.size(); i++) branch.push_back(tree->Branch(c.name[i].c_str(), (void*)c.base[i], c.leaf[i].c_str()));
  for (long long row = 0; row < rows; row++) {
    for (size_t i = 0; i < branch.size(); i++) {
      long long at = c.starts[i] ? ((const long long*)c.starts[i])[row] : row;
      branch[i]->SetAddress((void*)(c.base[i] + (size_t)at * c.stride[i]));
    }
    tree->Fill();
  }
  tree->Write(); file.Close();
}
"""


def root():
    warnings.filterwarnings("ignore", message="(?s).*alpha stage")
    import ROOT
    ROOT.gROOT.SetBatch(True)
    ROOT.gInterpreter.Declare(WRITER)
    return ROOT


class Lists:
    """Values of a collection: those of row i are starts[i] .. starts[i + 1]."""

    def __init__(self, counter, starts, values):
        self.counter, self.starts, self.values = counter, starts, values

    def take(self, rows):
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts, dtype="i8")])
        return Lists(self.counter, starts, self.values[np.repeat(self.starts[rows] - starts[:-1], counts) + np.arange(starts[-1])])


def write(ROOT, path, compression, columns, rows):
    out, keep = ROOT.BenchColumns(), []
    for name, column in columns.items():
        column = column.take(rows) if isinstance(column, Lists) else column[rows]
        lists = isinstance(column, Lists)
        values = np.ascontiguousarray(column.values if lists else column)
        kind = values.dtype.str[1:]
        if values.size == 0:
            values = np.zeros(1, values.dtype)        # an address must exist even for no value
        starts = np.ascontiguousarray(column.starts) if lists else None
        keep += [values, starts]
        out.name.push_back(name)
        out.leaf.push_back(f"{name}[{column.counter}]/{LEAF[kind]}" if lists else f"{name}/{LEAF[kind]}")
        out.base.push_back(values.ctypes.data)
        out.starts.push_back(starts.ctypes.data if lists else 0)
        out.stride.push_back(values.itemsize)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    ROOT.benchWrite(path, compression, len(rows), out)


def mantissa(values, bits):
    """NanoAOD keeps only so many bits of a float."""
    cut = 23 - bits
    words = np.asarray(values, "f4").view("u4").astype("u8")
    return ((words + (1 << (cut - 1))) >> cut << cut).astype("u4").view("f4")


def make_keys(r, n, first_run):
    """Runs and lumi blocks in stretches, event numbers unordered inside a block and above 2^32; some recur in another run."""
    runs = first_run + np.sort(r.choice(np.arange(200), RUNS, replace=False))
    which = np.arange(n) * RUNS // n
    lumi = 1 + (np.arange(n) - np.searchsorted(which, which)) // LUMI_EVENTS
    event = lumi.astype("u8") * np.uint64(16_000_000) + r.integers(0, 16_000_000, n).astype("u8")
    for one in range(RUNS):
        of = np.flatnonzero(which == one)
        while True:
            _, first = np.unique(event[of], return_index=True)
            again = np.setdiff1d(np.arange(len(of)), first)
            if len(again) == 0:
                break
            event[of[again]] += np.uint64(1)
    tail = n // RUNS
    picked = r.choice(tail, min(1000, tail), replace=False)
    event[n - tail + picked] = event[picked]
    keys = {"run": runs[which].astype("u4"), "luminosityBlock": lumi.astype("u4"), "event": event}
    assert len(np.unique(np.rec.fromarrays(list(keys.values())))) == n
    return keys


def collection(r, n, counter, mean):
    counts = r.poisson(mean, n).astype("u4")
    starts = np.concatenate([[0], np.cumsum(counts, dtype="i8")])
    return counts, int(starts[-1]), lambda values: Lists(counter, starts, values)


TRIGGERS = {
    "HLT_IsoMu24": 0.2, "HLT_IsoMu27": 0.15, "HLT_Ele32_WPTight_Gsf": 0.18, "HLT_Mu50": 0.1, "HLT_PFMET120_PFMHT120_IDTight": 0.03, "HLT_PFHT1050": 0.05,
    "HLT_Ele115_CaloIdVT_GsfTrkIdT": 0.02, "HLT_Photon200": 0.01, "Flag_goodVertices": 0.999, "Flag_METFilters": 0.995,
}


def make_primary(r, n, keys, jets):
    m, i4 = mantissa, lambda values: np.asarray(values).astype("i4")
    nJet, nj, J = jets
    nMuon, nm, M = collection(r, n, "nMuon", 0.9)
    nElectron, ne, E = collection(r, n, "nElectron", 0.8)
    angle = lambda k: m(r.uniform(-np.pi, np.pi, k), 12)
    return {
        **keys,
        "genWeight": (r.choice([1, -1], n, p=[0.9, 0.1]) * 72.3).astype("f4"), "Pileup_nTrueInt": r.integers(5, 70, n).astype("f4"), "Pileup_nPU": i4(r.poisson(32, n)),
        "PV_npvs": i4(r.poisson(28, n)), "PV_x": m(r.normal(0.01, 0.002, n), 10), "PV_z": m(r.normal(0, 4, n), 10), "fixedGridRhoFastjetAll": m(r.gamma(9, 2.2, n), 10),
        "MET_pt": m(r.exponential(40, n), 10), "MET_phi": angle(n), "MET_sumEt": m(r.gamma(8, 200, n), 10),
        **{name: r.random(n) < fraction for name, fraction in TRIGGERS.items()},
        "nJet": nJet, "Jet_pt": J(m(15 + r.exponential(35, nj), 10)), "Jet_eta": J(m(np.clip(r.normal(0, 1.8, nj), -5, 5), 12)), "Jet_phi": J(angle(nj)),
        "Jet_mass": J(m(r.gamma(3, 3, nj), 10)), "Jet_btagDeepFlavB": J(m(r.beta(0.3, 3, nj), 10)), "Jet_jetId": J(i4(r.choice([0, 2, 6], nj, p=[0.02, 0.03, 0.95]))),
        "Jet_nConstituents": J(r.poisson(20, nj).astype("u1")),
        "nMuon": nMuon, "Muon_pt": M(m(3 + r.exponential(20, nm), 10)), "Muon_eta": M(m(r.uniform(-2.4, 2.4, nm), 12)), "Muon_phi": M(angle(nm)), "Muon_mass": M(np.full(nm, 0.10565837, "f4")),
        "Muon_charge": M(i4(r.choice([-1, 1], nm))), "Muon_pfRelIso04_all": M(m(r.exponential(0.2, nm), 10)), "Muon_tightId": M(r.random(nm) < 0.7),
        "nElectron": nElectron, "Electron_pt": E(m(5 + r.exponential(22, ne), 10)), "Electron_eta": E(m(r.uniform(-2.5, 2.5, ne), 12)), "Electron_phi": E(angle(ne)),
        "Electron_mass": E(m(r.normal(0, 0.01, ne), 10)), "Electron_charge": E(i4(r.choice([-1, 1], ne))), "Electron_cutBased": E(r.integers(0, 5, ne).astype("u1")),
    }


def make_friend(r, n, keys, jets):
    m = mantissa
    nJet, nj, J = jets
    near_one = lambda width: r.normal(1, width, n).astype("f4")
    return {
        **keys, "chk": hash_of_key(*keys.values()),
        "puWeight": near_one(0.1), "puWeight_up": near_one(0.12), "puWeight_down": near_one(0.12), "btagSF": near_one(0.05), "lepSF": near_one(0.02), "genWeight_norm": near_one(0.3),
        "dnn_score": r.beta(1, 3, n).astype("f4"), "top_mass_reco": m(r.normal(172, 25, n), 10), "category": r.integers(0, 6, n).astype("i4"), "passSel": r.random(n) < 0.3,
        "nJet": nJet, "Jet_corr_pt": J(m(15 + r.exponential(35, nj), 10)), "Jet_corr_mass": J(m(r.gamma(3, 3, nj), 10)), "Jet_unc_total": J(m(r.beta(2, 60, nj), 10)),
        "Jet_qgl": J(m(r.beta(1, 1, nj), 10)), "Jet_topAssign": J(r.integers(-1, 6, nj).astype("i4")),
    }


def make_set(ROOT, out, parts, which, n, seed):
    r = np.random.default_rng([seed, which])
    keys = make_keys(r, n, 278_000 + 200 * which)
    jets = collection(r, n, "nJet", 5.5)
    stretches = np.array_split(np.arange(n), PRIMARY_FILES)
    primary = make_primary(r, n, keys, jets)
    for part, compression in (("primary-zstd", ZSTD), ("primary-lzma", LZMA)):
        if part in parts:
            for i, rows in enumerate(stretches):
                write(ROOT, f"{out}/{part}/nano_{which * PRIMARY_FILES + i}.root", compression, primary, rows)
    del primary
    friend = make_friend(r, n, keys, jets)
    if "friend-aligned" in parts:
        for i, rows in enumerate(stretches):
            write(ROOT, f"{out}/friend-aligned/nano_{which * PRIMARY_FILES + i}.root", ZSTD, friend, rows)
    if "friend-regrouped" in parts:
        shuffled = np.random.default_rng([seed, which, 1]).permutation(n)
        for i, rows in enumerate(np.array_split(shuffled, REGROUPED_FILES)):
            write(ROOT, f"{out}/friend-regrouped/part_{i}_{which}.root", ZSTD, friend, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--parts", default=",".join(PARTS))
    given = parser.parse_args()
    parts = given.parts.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown or given.events < RUNS * 2:
        parser.error(f"no part {sorted(unknown)}" if unknown else f"at least {RUNS * 2} events are wanted")
    ROOT = root()
    sets = -(-given.events // SET_EVENTS)
    for which, rows in enumerate(np.array_split(np.arange(given.events), sets)):
        make_set(ROOT, given.out, parts, which, len(rows), given.seed)
        print(json.dumps({"made": which + 1, "of": sets}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
