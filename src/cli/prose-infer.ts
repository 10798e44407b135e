// The prose of `colweave infer`.
import { INTERRUPTED, type Prose } from './prose.ts';

export const INFER: Prose = {
  summary: 'ask inference servers for scores of every event, and write them with keys',
  paragraphs: [
    'Binds columns to the tensors of a model, asks one or many servers (Triton, or any that speaks the Open Inference Protocol, KServe v2), thousands of events a request, and writes the answers as columns beside the key columns: a friend that colweave-join(1) joins by event. Every answer is checked against what was asked (version, rows, shape, type, bytes) and put into its rows just once; nothing is published before all rows are answered.',
    'A model file says which columns make which tensors. --describe writes a first one from what the server says; --dry-run shows tensors, shapes and batches without asking anybody.',
  ],
  sections: [
    {
      title: 'MODEL FILES',
      paragraphs: [
        'YAML. model: is the name; version: a number, or latest (the default), which is looked up once and pinned for the whole run; config-hash: the sha256 of the configuration that the server must have; protocol: http, grpc or onnx; servers: URLs; onnx: the model as a file, relative to this one, for the protocol onnx; max-batch-size: rows a request at most; per: event (the default), or a collection such as Jet, whose objects are the rows then; on-nan: keep (the default), fail or null.',
        'inputs: names each tensor. column: or columns: are its columns, stacked in their order; a column may be written {column: NAME, log: ln, scale: A, shift: B, clip: [LOW, HIGH]}, or these keys stand beside columns: for all of them. A value becomes clip(scale * log(x) + shift), in double precision, rounded once; log is ln, log10 or log1p. dtype: is FP32 unless said otherwise; integers are made of integer columns as they are. nulls: VALUE is what a missing value counts as; without it such a value stops the run.',
        'Columns that are lists make [rows, items, columns] and need pad: N, the number of items: longer lists are cut, shorter ones filled with fill: (0). order: {by: COLUMN} puts the items with the largest value first before lists are cut (ascending: true the smallest; equal ones keep their order, NaN comes last); without it they stay as they are stored. layout: columns-first makes [rows, columns, items]. mask: NAME sends a second tensor with 1 where there is an item and 0 where there is padding; {name:, dtype:, shape:} if it is no FP32 [rows, items]. shape: gives a tensor other lengths with the same number of values.',
        'With per: Jet a row is a jet: columns Jet_* give one value each, single values of the event are the same for all its jets, lists of lists give items. gather: {from: PFCands, index: JetPFCands_pFCandsIdx, group: JetPFCands_jetIdx, of: Jet, pad: 64} takes the constituents of each jet as NanoAOD with PF candidates stores them: columns of PFCands by the index, columns of JetPFCands by the pair. Pairs with an index below zero are left out; one that points at nothing stops the run.',
        'outputs: names the tensors that are wanted. NAME: COLUMN, or a mapping: columns: one column a value of a row; column: one column, of lists of width: values if that is given, or the value index: of them; softmax: true makes probabilities of the values of each row first; dtype: is FP32 unless said otherwise (FP16 is written as f32). With per: Jet every column is a list, one item a jet.',
      ],
    },
    {
      title: 'SERVERS',
      paragraphs: [
        '--server is a URL (http://, https://, grpc://, grpcs://), HOST:PORT, or @FILE with one a line; without it those of the model file are asked, then the balancer in $SONIC_LOCAL_BALANCER_HOST and $SONIC_LOCAL_BALANCER_PORT. A token is found as for files on servers ($BEARER_TOKEN, $BEARER_TOKEN_FILE, $XDG_RUNTIME_DIR/bt_u$UID, /tmp/bt_u$UID); it is sent only where every server is asked over TLS (https, grpcs), never printed or kept.',
        '--protocol onnx asks nobody: the model file names the model (onnx:), and onnxruntime-node computes in this process. It is not part of colweave: npm install --ignore-scripts onnxruntime-node.',
      ],
    },
    {
      title: 'WHEN SERVERS FAIL',
      paragraphs: [
        'Rows go to the server that would be done first, and as many requests at once (8 at most, --in-flight) as bring more rows a second. A server that is lost, silent (longer than 4 times what it usually takes, and 10 s) or lacks the model is left alone, asked again after pauses of up to 15 s, and used again once it serves the very same model; its rows go elsewhere meanwhile. One that says it is busy (503, Retry-After, a full queue) gets half as much and a pause. A batch too large for a server is cut in two. A batch that fails for 5 minutes (--patience) ends the run with exit 75.',
        'What is wrong with the request itself, or with the credentials, ends the run at once, in the words of the server; an answer of wrong form, or a model that fails, after three tries. Servers that differ in version, inputs, outputs or configuration are refused at the start (infer/version-differs); they are asked again every 30 s and at the end. A server without the version is not used again; one of another configuration under the same version ends the run, since its rows cannot be told from the others.',
        '--spot-check sends a part of the rows again, in other batches, to another server where there is one: scores must agree within 1e-4 + 0.1%.',
      ],
    },
    {
      title: 'BATCHES',
      paragraphs: [
        'A request has as many rows (a power of two) as fit 1 MiB of tensors, at most 8192, and no more than the model takes; --batch-rows asks for another number, within --batch-bytes. Columns are read a block at a time while requests are on their way; memory does not grow with the number of events. An input without events is written as no rows of the right types, and no server is asked.',
        '--per-event sends one event a request, to compare with frameworks that ask event by event.',
      ],
    },
    {
      title: 'OUTPUT',
      paragraphs: [
        'OUT is one Parquet file. On a server (root://, s3://) it is written in scratch first, verified, and sent whole, without --resume, --receipt and --depfile. An output that is up to date, made of the same inputs by the same model file and version, is left alone. --depfile FILE writes a rule for make: OUT, and the model file, lists and data files that it was made of (colweave-join(1)).',
      ],
    },
    {
      title: 'RESUMING',
      paragraphs: [
        'With --resume the scores of each finished row group are kept in OUT.parts/ until the output is published, and a later run with --resume takes what is there and whole. Parts of other inputs, another model file, model version or configuration are refused (infer/other-parts).',
      ],
    },
    {
      title: 'RECEIPT',
      paragraphs: [
        'The output has a receipt as that of a join: colweave verify OUT checks keys and scores, --against INPUT the keys against the source. Its spec.infer holds the model, version and configuration hash, the protocol, who answered, the sha256 of the binding, the batch plan, and how many values were not finite.',
      ],
    },
  ],
  examples: [
    { does: 'a first model file', line: 'colweave infer --describe http://localhost:8000 jettag > jettag.yaml' },
    { does: 'what would be sent', line: 'colweave infer nano_*.root --model jettag.yaml --dry-run' },
    {
      does: 'scores of every event, from two servers',
      line: 'colweave infer nano_*.root --model jettag.yaml --server http://a:8000 --server http://b:8000 -o scores.parquet',
    },
    {
      does: 'scores beside the other columns',
      line: 'colweave join nano_*.root --with scores.parquet -o scored.parquet',
    },
  ],
  exits: [
    [0, 'written, or up to date'],
    [1, 'the scores cannot be trusted: versions differ, rows asked again differ, or --on-nan fail met one'],
    [2, 'the command line or the model file is wrong'],
    [3, 'an input, a model or an answer is not what it should be'],
    [4, 'a server refuses the credentials'],
    [5, 'the output exists already, cannot be written, or the disk is full'],
    [70, 'a bug in colweave'],
    [75, 'servers are busy or out of reach: try again, with --resume'],
    INTERRUPTED,
  ],
  seeAlso: ['colweave(1)', 'colweave-join(1)', 'colweave-verify(1)', 'colweave-guide(7)', 'colweave-errors(7)'],
};
