// Owns finding inference servers: URLs, files of URLs, and what SONIC's batch jobs have in their environment.
import { readFileSync } from 'node:fs';
import { ColweaveError } from '../core/errors.ts';

/** `@FILE` stands for the URLs in a file, one a line; what follows a # is a remark. Errors: source/bad-list. */
export function expandServers(words: readonly string[]): readonly string[] {
  const urls = words.flatMap((word) => (word.startsWith('@') ? readServers(word.slice(1)) : [word]));
  return [...new Set(urls)];
}

function readServers(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ColweaveError('source/bad-list', 'the list of servers cannot be read', { where: [path], cause });
  }
  const urls = text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
  if (urls.length === 0) throw new ColweaveError('source/bad-list', 'the list of servers is empty', { where: [path] });
  return urls;
}

/** The balancer of the site, as SONIC names it in $SONIC_LOCAL_BALANCER_HOST and _PORT; it speaks gRPC. */
export function serverOfSite(env: NodeJS.ProcessEnv): string | undefined {
  const { SONIC_LOCAL_BALANCER_HOST: host, SONIC_LOCAL_BALANCER_PORT: port } = env;
  return host && port ? `grpc://${host}:${port}` : undefined;
}
