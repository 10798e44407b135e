# The oracle of xrootd-join.test.ts: what the C++ client and uproot read of the same URLs. Prints one JSON object a URL.
import hashlib
import json
import sys

import awkward as ak
import uproot
from XRootD import client

for url in sys.argv[1:]:
    with client.File() as file:
        status, _ = file.open(url)
        assert status.ok, status
        status, data = file.read()
        assert status.ok, status
    with uproot.open(url) as file:
        jets = file["Events"]["Jet_pt"].array()
    layout = ak.to_packed(jets).layout
    hash_ = hashlib.sha256(layout.offsets.data.astype("<i4").tobytes())
    hash_.update(layout.content.data.tobytes())
    print(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), "jets": hash_.hexdigest()[:16]}))
