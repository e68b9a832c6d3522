import { readFileSync } from 'node:fs';
import { connect as connectTls, createSecureContext, rootCertificates } from 'node:tls';
import type { ConnectionOptions } from '@temporalio/client';
import { type CallCredentials, Metadata, credentials, experimental } from '@grpc/grpc-js';
import type { SecretRef, TemporalConfig, TlsFiles } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { resolveSecret } from './secret.ts';

type Tls = NonNullable<TemporalConfig['tls']>;
type Warn = (error: Error) => void;

interface Pem {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** @throws UnderstudyError `ConfigInvalid` that names the file which cannot be read, or the pair that does not fit */
function readPem(tls: TlsFiles): Pem {
  const pem: { -readonly [K in keyof Pem]: Pem[K] } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const file = tls[name];
    if (file === undefined) continue;
    try {
      pem[name] = readFileSync(file);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      throw new UnderstudyError(
        'ConfigInvalid',
        `temporal.tls.${name} names ${file}, which cannot be read (${code}). Next: write it, readable by this account alone.`,
        { file },
        error,
      );
    }
  }
  try {
    createSecureContext(pem);
  } catch (error) {
    const files = Object.values(tls).join(', ');
    throw new UnderstudyError(
      'ConfigInvalid',
      `the files of temporal.tls (${files}) do not fit each other: ${(error as Error).message}. Next: look at each by "openssl x509 -in FILE -text".`,
      {},
      error,
    );
  }
  return pem;
}

/** As Temporal's SDK takes it: read once. */
export function readTls(tls: Tls): Exclude<ConnectionOptions['tls'], boolean | null | undefined> {
  const { ca, cert, key } = readPem(tls);
  return {
    ...(ca === undefined ? {} : { serverRootCACertificate: ca }),
    ...(cert === undefined || key === undefined ? {} : { clientCertPair: { crt: cert, key } }),
    ...(tls.serverName === undefined ? {} : { serverNameOverride: tls.serverName }),
  };
}

/** The API key as it is now: a file may be replaced at any time. While it is not there, the last one stands. */
export function keyReader(ref: SecretRef, env: NodeJS.ProcessEnv): () => string {
  let last = resolveSecret(ref, env);
  return () => {
    try {
      last = resolveSecret(ref, env);
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
    }
    return last;
  };
}

const LOOK_EVERY_MS = 5_000;

/**
 * The files of a certificate, looked at again and again: a connection that is made after they were replaced shows the new one, with no restart. What does
 * not fit together, as in the midst of a replacement, changes nothing, and is told once.
 */
class PemFiles implements experimental.CertificateProvider {
  readonly #tls: Tls;
  readonly #warn: Warn;
  readonly #ca = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identity = new Set<experimental.IdentityCertificateUpdateListener>();
  #pem: Pem;
  #timer: NodeJS.Timeout | undefined;
  #told = '';

  constructor(tls: Tls, warn: Warn) {
    this.#tls = tls;
    this.#warn = warn;
    this.#pem = readPem(tls);
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.add(listener);
    process.nextTick(() => this.#tellCa(listener));
    this.#watch();
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#ca.delete(listener);
    this.#watch();
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
    this.#watch();
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identity.delete(listener);
    this.#watch();
  }

  #tellCa(listener: experimental.CaCertificateUpdateListener): void {
    listener({ caCertificate: this.#pem.ca ?? Buffer.from(rootCertificates.join('\n')) });
  }

  #tellIdentity(listener: experimental.IdentityCertificateUpdateListener): void {
    const { cert, key } = this.#pem;
    if (cert !== undefined && key !== undefined) listener({ certificate: cert, privateKey: key });
  }

  #watch(): void {
    if (this.#ca.size + this.#identity.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  #look(): void {
    let pem: Pem;
    try {
      pem = readPem(this.#tls);
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      if (error.message !== this.#told) this.#warn(error);
      this.#told = error.message;
      return;
    }
    this.#told = '';
    if (textOf(pem) === textOf(this.#pem)) return;
    this.#pem = pem;
    for (const listener of this.#identity) this.#tellIdentity(listener);
    for (const listener of this.#ca) this.#tellCa(listener);
  }
}

const textOf = ({ ca, cert, key }: Pem): string => [ca, cert, key].map(String).join('\n');

/** Connection options whose certificates and key are those of the moment, in place of ones that are read once. */
export function freshCredentials(
  tls: Tls,
  apiKey: (() => string) | undefined,
  warn: Warn,
): Pick<ConnectionOptions, 'credentials' | 'callCredentials' | 'channelArgs'> {
  const files = new PemFiles(tls, warn);
  const { serverName } = tls;
  return {
    credentials: experimental.createCertificateProviderChannelCredentials(files, tls.cert === undefined ? null : files, {}),
    ...(apiKey === undefined ? {} : { callCredentials: [bearer(apiKey)] }),
    ...(serverName === undefined ? {} : { channelArgs: { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName } }),
  };
}

function bearer(apiKey: () => string): CallCredentials {
  return credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${apiKey()}`);
    done(null, metadata);
  });
}

const ASK_LIMIT_MS = 2000;

/** Why TLS does not come about, which the gRPC client keeps for itself; undefined where it does. */
export function whyNoTls(address: string, tls: Tls): Promise<string | undefined> {
  const { ca, cert, key } = readPem(tls);
  const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(address) ?? [];
  return new Promise((resolve) => {
    const socket = connectTls({
      host,
      port: Number(port),
      ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
      ALPNProtocols: ['h2'],
      timeout: ASK_LIMIT_MS,
    });
    const end = (words: string | undefined): void => {
      socket.destroy();
      resolve(words);
    };
    socket.once('error', (error) => end(error.message));
    socket.once('timeout', () => end(undefined));
    // A server that wants a certificate says so only after the handshake: its own first words are waited for.
    socket.once('data', () => end(undefined));
    socket.once('close', () => end(undefined));
  });
}
