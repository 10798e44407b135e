#!/usr/bin/env python3
"""Writes rntuple-digests.json: what ROOT's own reader gives of the RNTuples of fixtures/, summed as in root-digests.json, then
validity (one byte a row) where values can miss:  $(test/rigs/venv.sh) test/unit/rntuple_digests.py"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "..", "fixtures")
sys.path.insert(0, FIXTURES)
import rntuple_writer  # noqa: E402

FILES = {"types": ["rntuple_types", *(f"rntuple_types_{c}" for c in ("none", "zlib", "lz4", "lzma"))], "late": ["rntuple_late"], "representations": ["rntuple_representations"]}

out = {f"{name}.root": rntuple_writer.root_reads(kind, os.path.join(FIXTURES, f"{name}.root")) for kind, names in FILES.items() for name in names}
what = "per column: first 16 hex digits of sha256 over the offsets of each list or string level (i32), the values, and one byte a row where values can miss; all little-endian"
with open(os.path.join(HERE, "rntuple-digests.json"), "w") as f:
    json.dump({"what": what, "by": f"ROOT {rntuple_writer.ROOT.gROOT.GetVersion()}, by rntuple_digests.py", "files": out}, f, indent=1)
    f.write("\n")
