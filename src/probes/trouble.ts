/** What an error says of the other side: that it fails its clients, or nothing since the trouble is ours. */
export interface Trouble {
  readonly outcome: 'down' | 'unknown';
  readonly words: string;
}

/**
 * What an error's code means. `down` is what the other side did, or did not do: it, or its name, or the certificate that it shows, fails
 * every client. `unknown` is what this host could not do, which would look the same were the other side well (I3).
 */
const MEANING: Readonly<Record<string, Trouble>> = {
  ECONNREFUSED: { outcome: 'down', words: 'refused the connection' },
  ECONNRESET: { outcome: 'down', words: 'reset the connection' },
  ECONNABORTED: { outcome: 'down', words: 'broke off the connection' },
  EPIPE: { outcome: 'down', words: 'closed the connection while it was written to' },
  // Of the kernel, after its own repetitions; our own limit is counted by `bounded`.
  ETIMEDOUT: { outcome: 'down', words: 'gave no answer to the connection' },
  // The resolver works and says that there is no such name: then no client gets there either.
  ENOTFOUND: { outcome: 'down', words: 'has a name that does not exist' },
  EPROTO: { outcome: 'down', words: 'failed the TLS handshake' },

  ENETUNREACH: { outcome: 'unknown', words: 'this host has no route to that network' },
  ENETDOWN: { outcome: 'unknown', words: "this host's network is down" },
  // A router on the way says so, or the kernel that finds no neighbour: from here it cannot be told whose cable it is.
  EHOSTUNREACH: { outcome: 'unknown', words: 'this host has no route to that address' },
  EADDRNOTAVAIL: { outcome: 'unknown', words: 'this host has no address or port left to send from' },
  EMFILE: { outcome: 'unknown', words: 'this process has too many files open' },
  ENFILE: { outcome: 'unknown', words: 'this host has too many files open' },
  ENOBUFS: { outcome: 'unknown', words: 'this host has no buffers left' },
  EAI_AGAIN: { outcome: 'unknown', words: "this host's resolver gives no answer" },
  EACCES: { outcome: 'unknown', words: 'this host does not let us send there' },
  EPERM: { outcome: 'unknown', words: "this host's firewall does not let us send there" },
};

/**
 * OpenSSL's verdicts on a certificate, as Node words them: what no client that checks would accept.
 *
 * @see Node.js manual, "X509 certificate error codes"
 */
const CERTIFICATE = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_HANDSHAKE_TIMEOUT',
]);

/**
 * Reads an error of a socket, of the resolver, of TLS or of HTTP's parser.
 *
 * Of a name with several addresses each has an error of its own: one that shows the other side failing outweighs those that this host
 * has no route to, since a host without IPv6 has that one always.
 *
 * A code that is not known here is `unknown`, with its words: to call a service down for what nobody thought of would move its traffic.
 */
export function meaningOf(error: unknown): Trouble {
  if (error instanceof AggregateError && error.errors.length > 0) {
    const each = error.errors.map(meaningOf);
    return each.find(({ outcome }) => outcome === 'down') ?? (each[0] as Trouble);
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return { outcome: 'unknown', words: message };
  const known = Object.hasOwn(MEANING, code) ? MEANING[code] : undefined;
  if (known !== undefined) return { ...known, words: `${known.words} (${code})` };
  if (CERTIFICATE.has(code)) return { outcome: 'down', words: `showed a certificate that is not accepted: ${message} (${code})` };
  if (code.startsWith('ERR_SSL_')) return { outcome: 'down', words: `failed the TLS handshake (${code})` };
  if (code.startsWith('HPE_')) return { outcome: 'down', words: `answered what is not HTTP (${code})` };
  return { outcome: 'unknown', words: `${message} (${code})` };
}
