// The catalogue of errors: code, exit status, what it means and what to do. man 7 colweave-errors is made from it.
import { withoutSecrets } from './secrets.ts';

export interface ErrorKind {
  readonly exit: number;
  readonly meaning: string;
  readonly remedy: string;
}

const kind = (exit: number, meaning: string, remedy: string): ErrorKind => ({ exit, meaning, remedy });

/** Exit: 1 the data says no; 2 usage; 3 input; 4 credentials; 5 output; 6 memory or scratch; 70 our bug; 75 try again. */
export const ERRORS = {
  'usage/bad-option': kind(2, 'the command line cannot be understood', 'see colweave COMMAND --help'),
  'usage/bad-compose': kind(2, 'a compose file cannot be understood', 'see colweave-join(1), COMPOSE FILES'),
  'usage/bad-model': kind(2, 'a model file cannot be understood', 'see colweave-infer(1), MODEL FILES'),
  'usage/node-too-old': kind(
    2,
    'Node is older than 22.20',
    'use a newer Node; in a checkout the npm scripts bring one',
  ),
  'source/not-found': kind(3, 'an input file does not exist, or a pattern matches nothing', 'check the path'),
  'source/bad-list': kind(3, 'a list of files cannot be read, is empty, or names itself', 'correct the list'),
  'source/remote': kind(3, 'a file is on a server of a kind that cannot be read from', 'bring the file here first'),
  'credentials/absent': kind(
    4,
    'a server lets nobody in without a credential, and none was found',
    'get a proxy (voms-proxy-init) or a token (htgettoken), see colweave-guide(7)',
  ),
  'credentials/expired': kind(4, 'a proxy, token or signed URL is past its time', 'get a new one'),
  'credentials/bad-file': kind(4, 'a file of a proxy or token cannot be used', 'correct it, or get a new one'),
  'credentials/refused': kind(
    4,
    'a server refused the credential, or what it allows',
    'ask for a credential that may read there (the right VO or scope)',
  ),
  'credentials/no-ca': kind(
    4,
    "a server's certificate is signed by an authority that is not known here",
    'name the directory of authorities with X509_CERT_DIR (/etc/grid-security/certificates by default)',
  ),
  'remote/unreachable': kind(75, 'a server cannot be reached, or hung up', 'try again, or name another server'),
  'remote/timeout': kind(75, 'a server did not answer in time', 'try again, or name another server'),
  'remote/busy': kind(75, 'a server says that it is busy or failing', 'try again later'),
  'remote/changed': kind(75, 'a file was replaced on its server while it was read', 'try again'),
  'remote/protocol': kind(
    75,
    'a server answered with something else than what was asked',
    'try again, or name another server',
  ),
  'source/not-readable': kind(3, 'an input file cannot be opened or read', 'check its permissions'),
  'source/not-root': kind(3, 'a file is not of the format that its name or the command says', 'give the right file'),
  'source/bad-fileset': kind(3, 'a fileset is not what coffea reads', 'see colweave-join(1), FILESETS'),
  'source/truncated': kind(3, 'a file ends before its data do', 'copy or produce the file again'),
  'source/damaged': kind(3, 'bytes of a file cannot be decoded', 'copy or produce the file again'),
  'source/newer-format': kind(
    3,
    'a file uses features of its format that are not known here',
    'write it again with a version of its writer that this one knows',
  ),
  'source/no-tree': kind(3, 'a file has no tree of that name', 'name the tree with --tree or FILE:TREE'),
  'source/no-column': kind(
    2,
    'a column that was asked for does not exist',
    'list the columns with colweave schema FILE',
  ),
  'source/unreadable-column': kind(3, 'a column has a type that cannot be read', "leave it out with -c '!NAME'"),
  'source/schema-differs': kind(3, 'files of one source differ in their columns', 'use --schema union or intersect'),
  'source/titles-differ': kind(
    3,
    'files of one source have weights of other titles or lengths: the same item is another variation',
    'join them apart, or use --titles ignore if that is meant',
  ),
  'source/changed': kind(3, 'a file changed while it was joined', 'join again when nobody writes to it'),
  'source/duplicate-file': kind(3, 'a file is given twice in one source', 'give each file once'),
  'source/too-many-rows': kind(3, 'a source has more than 2^31 - 2 rows', 'split the job into parts'),
  'where/expression': kind(2, 'a --where expression cannot be understood', 'see SELECTIONS in colweave-join(1)'),
  'where/value': kind(
    3,
    'a --where expression cannot be evaluated for an event',
    'ask something else, or produce the file again',
  ),
  'key/absent': kind(3, 'a key column is absent', 'name the key columns with --on'),
  'key/bad-type': kind(3, 'a key column is not an integer', 'produce the file again with integer event numbers'),
  'key/negative': kind(3, 'a key column holds a negative or null value', 'produce the file again'),
  'key/not-unique': kind(1, 'a shortened key does not name each event once', 'join on the full key'),
  'join/duplicate-key': kind(1, 'an event is there twice in one source', 'remove the overlap between the input files'),
  'join/name-clash': kind(2, 'two sources give a column the same name', 'give the source a label: --with LABEL: FILES'),
  'join/list-length': kind(
    1,
    "a friend's list differs in length from the primary's collection",
    'the friend was made from other objects: do not join its lists',
  ),
  'join/expectation': kind(1, 'what --expect states does not hold', 'look at the counts, or do not expect it'),
  'join/counter-differs': kind(3, 'a list and its counter disagree inside one file', 'produce the file again'),
  'join/sample-differs': kind(1, 'sources belong to different samples', 'join one sample at a time'),
  'join/sample-unknown': kind(
    1,
    'nothing tells which simulated sample a source is of, and event numbers repeat in every one',
    'keep mcChannelNumber in each source, or say with --sample NAME that all are of one',
  ),
  'join/witness-differs': kind(
    1,
    'the keys of two rows are equal, but they are not the same event',
    'the files are of different samples or productions: join those that belong together; --witness off only if you know why they differ',
  ),
  'join/null-in-nano': kind(
    1,
    'a null would be written in nano layout',
    'use --missing drop or --missing fill=V, or --layout arrow',
  ),
  'join/not-nano': kind(
    2,
    'a column cannot be written in nano layout',
    "leave it out with -c '!NAME' or --drop-unreadable",
  ),
  'join/seal-mismatch': kind(
    70,
    'the output does not hold what was read: a bug in colweave, nothing was published',
    'report it',
  ),
  'sink/cannot-write-type': kind(5, 'a writer cannot write a column right', 'use the default writer'),
  'output/exists': kind(5, 'the output is there already', 'use -f to replace it'),
  'output/not-writable': kind(5, 'the output cannot be written', 'check the directory and its permissions'),
  'output/disk-full': kind(5, 'the disk is full or over quota', 'free space or write elsewhere'),
  'verify/no-receipt': kind(3, 'a file has no receipt', 'give --receipt FILE or --against SOURCES'),
  'verify/not-data': kind(3, 'an argument of verify is absent or no data file', 'check the path'),
  'verify/not-a-mask': kind(3, 'a file is no lumi mask', 'give JSON such as {"316995": [[1, 20], [23, 23]]}'),
  'infer/unreachable': kind(
    75,
    'no connection to an inference server',
    'check its URL and the network, or try again later',
  ),
  'infer/no-answer': kind(75, 'an inference server did not answer in time', 'try again later, or with smaller batches'),
  'infer/overloaded': kind(
    75,
    'inference servers stayed busy for longer than the retries may take',
    'try again later, or ask for more servers',
  ),
  'infer/credentials': kind(4, 'an inference server refuses the credentials', 'give a token that is valid there'),
  'infer/refused': kind(
    3,
    'an inference server says that a request is wrong',
    'compare the inputs with colweave infer --describe URL MODEL',
  ),
  'infer/too-large': kind(3, 'an inference server takes no batch of this size', 'use smaller batches'),
  'infer/no-model': kind(
    3,
    'an inference server does not serve the model, or not in this version',
    'check the name, or ask for the model to be loaded',
  ),
  'infer/model-failed': kind(3, 'a model failed on a batch', "see the server's text; tell who keeps the model"),
  'infer/unsupported': kind(
    3,
    'an inference server, or its model, cannot do what is needed',
    'use a model of one answer a request, with tensors of fixed-size types',
  ),
  'infer/bad-answer': kind(
    3,
    'what an inference server answers does not fit what was asked: rows, shape, type, bytes or request',
    'nothing of it is used; tell who keeps the server',
  ),
  'infer/version-differs': kind(
    1,
    'servers answer with different versions of a model, or it was exchanged meanwhile',
    'name the version, and give servers that have it; scores of two versions are never mixed',
  ),
  'infer/spot-check': kind(
    1,
    'rows that were sent again got other scores',
    'a server is sick, or the model depends on what else is in a batch: nothing of it is used',
  ),
  'infer/model-differs': kind(
    3,
    'the served model has other inputs or outputs than the model file says',
    'compare with colweave infer --describe URL MODEL',
  ),
  'infer/null-input': kind(3, 'a value that a model needs is missing', 'say what it counts as: nulls: VALUE'),
  'infer/lists-differ': kind(
    3,
    'lists that belong together differ in length',
    'name columns of one collection, or produce the file again',
  ),
  'infer/bad-index': kind(3, 'an index of constituents points at nothing', 'produce the file again'),
  'infer/inexact': kind(3, 'an input cannot hold a value exactly', 'give the input a type that holds it'),
  'infer/not-finite': kind(1, 'scores are NaN or infinite', 'look at the inputs, or use --on-nan keep'),
  'infer/other-parts': kind(
    3,
    'finished parts are of other inputs, or of another model or version',
    'begin again without --resume, or give what the parts were made from',
  ),
  'infer/no-runtime': kind(
    3,
    'onnxruntime-node is not installed, or cannot load the model',
    'npm install --ignore-scripts onnxruntime-node in the current directory, or name a server',
  ),
  'cache/not-private': kind(
    5,
    'anybody may replace what is in the cache directory',
    'chmod o-w, or chmod +t if all shall share it',
  ),
  'cache/unusable': kind(5, 'a cache directory cannot be made, read or written', 'name another with --cache, or off'),
  'cache/damaged': kind(
    1,
    'entries of the cache are not what was written: they are set aside',
    'nothing: they are fetched again when needed',
  ),
  'cache/offline-miss': kind(
    75,
    'a file or column is not in the cache, and its server is not asked or does not answer',
    'try again when the server can be reached',
  ),
  'memory/not-enough': kind(
    6,
    'the job does not fit into the memory or scratch that it may use',
    'raise --memory or give scratch space',
  ),
  'internal/bug': kind(70, 'a bug in colweave', 'report it with the text that --debug prints'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** File, tree, entry: from the outside in. */
  readonly where?: readonly string[];
  /** The nearest names that do exist. */
  readonly near?: readonly string[];
  /** Overrides the catalogue's remedy where the place knows better. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Further lines of evidence, such as the first offending events. */
  readonly details?: readonly string[];
}

/** Every failure a user can cause or meet. `message` says what; the rest says where, what was there instead, what to do. */
export class ColweaveError extends Error {
  override readonly name = 'ColweaveError';
  readonly code: ErrorCode;
  readonly where: readonly string[];
  readonly near: readonly string[];
  readonly hint: string;
  readonly details: readonly string[];

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.where = (detail.where ?? []).map(withoutSecrets);
    this.near = detail.near ?? [];
    this.hint = detail.hint ?? ERRORS[code].remedy;
    this.details = detail.details ?? [];
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }
}
