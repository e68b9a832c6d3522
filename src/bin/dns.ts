/**
 * The development DNS server as a process of its own:
 *
 *     TSIG=... node dns.js --listen 127.0.0.1:0 --zone understudy.test. --key understudy:hmac-sha256 --secret-env TSIG \
 *       --record 'pg-a.understudy.test. 1 A 127.0.0.1' --state-file /var/tmp/zone
 *
 * It prints one JSON line when it is ready, and ends on SIGTERM and SIGINT.
 */
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../model/error.ts';
import { startEmbeddedServer } from '../providers/embedded/server.ts';
import type { EmbeddedOptions } from '../providers/embedded/server.ts';
import { sayServer } from '../providers/rfc2136/exchange.ts';
import { isTsigAlgorithm, makeKey } from '../providers/rfc2136/tsig.ts';
import { resolveSecret } from '../runtime/secret.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 64;

function readOptions(args: string[]): EmbeddedOptions {
  const { values } = parseArgs({
    args,
    options: {
      listen: { type: 'string', default: '127.0.0.1:0' },
      zone: { type: 'string' },
      key: { type: 'string' },
      'secret-env': { type: 'string' },
      'secret-file': { type: 'string' },
      record: { type: 'string', multiple: true, default: [] },
      'state-file': { type: 'string' },
    },
  });
  const listen = /^\[?(.+?)\]?:(\d+)$/.exec(values.listen);
  if (listen === null) throw usage(`--listen ${values.listen}: an address and a port are needed, such as 127.0.0.1:0`);
  if (values.zone === undefined) throw usage('--zone is needed, such as understudy.test.');
  const [keyName, algorithm] = (values.key ?? '').split(':');
  if (!keyName || algorithm === undefined || !isTsigAlgorithm(algorithm)) throw usage('--key is needed, such as understudy:hmac-sha256 (or hmac-sha512)');
  const stateFile = values['state-file'];
  return {
    listen: { host: listen[1]!, port: Number(listen[2]) },
    zone: values.zone,
    key: makeKey(keyName, algorithm, readSecret(values['secret-env'], values['secret-file'])),
    records: values.record,
    ...(stateFile === undefined ? {} : { stateFile }),
    onTrouble: (error) => process.stderr.write(`dns: ${error.message}\n`),
  };
}

function readSecret(env: string | undefined, file: string | undefined): string {
  if (env !== undefined) return resolveSecret({ env });
  if (file !== undefined) return resolveSecret({ file });
  throw usage('--secret-env NAME or --secret-file FILE is needed; the secret itself is never an argument, where everybody could read it');
}

const usage = (words: string): UnderstudyError => new UnderstudyError('BadInput', words);

async function run(): Promise<void> {
  const server = await startEmbeddedServer(readOptions(process.argv.slice(2)));
  const end = (): void => void server.close();
  process.once('SIGTERM', end).once('SIGINT', end);
  process.stdout.write(`${JSON.stringify({ ready: true, address: sayServer(server.address) })}\n`);
}

run().catch((error: NodeJS.ErrnoException) => {
  const isUsage = (error instanceof UnderstudyError && error.code === 'BadInput') || error.code?.startsWith('ERR_PARSE_ARGS') === true;
  process.stderr.write(`dns: ${error.message}\n`);
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
});
