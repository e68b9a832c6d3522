import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { program } from './part.ts';

export const OPENSSL = program('openssl', 'openssl');

/** Made anew by each run: no key is kept in the repository. */
export class Authority {
  readonly ca: string;
  readonly #dir: string;
  readonly #name: string;

  constructor(dir: string, name = 'ca') {
    this.#dir = dir;
    this.#name = name;
    this.ca = this.#file('pem');
    openssl(['req', '-x509', ...KEY, '-keyout', this.#file('key'), '-out', this.ca, '-days', '2', '-subj', `/CN=understudy test ${name}`]);
  }

  /** A certificate for servers on this machine and for clients alike. Written again, it replaces the one of that name. */
  issue(name: string, commonName = name): { cert: string; key: string } {
    const at = (suffix: string): string => path.join(this.#dir, `${name}.${suffix}`);
    writeFileSync(at('ext'), 'subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:temporal.test\nextendedKeyUsage = serverAuth, clientAuth\n');
    openssl(['req', '-new', ...KEY, '-keyout', at('key'), '-out', at('csr'), '-subj', `/CN=${commonName}`]);
    openssl([
      'x509',
      '-req',
      '-in',
      at('csr'),
      '-CA',
      this.ca,
      '-CAkey',
      this.#file('key'),
      '-CAcreateserial',
      '-out',
      at('pem'),
      '-days',
      '2',
      '-extfile',
      at('ext'),
    ]);
    chmodSync(at('key'), 0o600);
    return { cert: at('pem'), key: at('key') };
  }

  #file(suffix: string): string {
    return path.join(this.#dir, `${this.#name}.${suffix}`);
  }
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(args: readonly string[]): void {
  execFileSync(OPENSSL.find() ?? 'openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
