import type { Config, ProviderConfig, SecretRef } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { resolveSecret } from './secret.ts';

export const REDACTED = '(redacted)';
/** Shorter ones would be found in every second word. */
const SHORTEST = 4;

/** Every secret that a configuration names. */
export function secretsOf({ temporal, providers, groups }: Config): SecretRef[] {
  const refs = [
    temporal.apiKey,
    ...Object.values(temporal.codec?.keys ?? {}),
    ...Object.values(providers).flatMap(secretsOfProvider),
    ...Object.values(groups).flatMap(({ postgres }) => [postgres.superuser.password, postgres.replication.password]),
  ];
  return refs.filter((ref) => ref !== undefined);
}

function secretsOfProvider(provider: ProviderConfig): SecretRef[] {
  switch (provider.type) {
    case 'rfc2136':
      return [provider.tsig.secret];
    case 'powerdns':
      return [provider.key];
    case 'route53':
      return provider.credentials === undefined ? [] : [provider.credentials.secretAccessKey];
    case 'file':
      return [];
  }
}

/**
 * What gives a secret away by its look alone, for those that this host cannot know. A value is replaced, its key stays: what was there is of use, too.
 */
const LOOKS: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, REDACTED],
  [/(\bBearer\s+)[\w.~+/=-]{6,}/gi, `$1${REDACTED}`],
  [/SCRAM-SHA-256\$[\w+/=:$]+/g, REDACTED],
  [/(\w+:\/\/[^\s:/@"']+:)[^\s@/"']+@/g, `$1${REDACTED}@`],
  [
    /((?:pass(?:word|wd|phrase)?|pgpassword|secret|token|api_?-?key|authorization)\w*\\?["']?\s*[=:]\s*\\?["']?)(?!null\b|true\b|false\b|\d+(?![\w.])|Bearer)[^\s"',;{}[\]\\()]{4,}/gi,
    `$1${REDACTED}`,
  ],
];

/** Takes secrets out of texts: those that it is told, in the forms that they are written in, and what looks like one. */
export class Redactor {
  readonly #forms: readonly string[];

  constructor(secrets: readonly string[]) {
    const forms = secrets
      .filter((secret) => secret.length >= SHORTEST)
      .flatMap((secret) => [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64').replace(/=+$/, ''),
        Buffer.from(secret).toString('hex'),
      ]);
    this.#forms = [...new Set(forms)].sort((a, b) => b.length - a.length);
  }

  /** With the values of all secrets that can be read here; the others are none that this host's files could hold. */
  static of(config: Config | undefined): Redactor {
    const refs = config === undefined ? [] : secretsOf(config);
    return new Redactor(refs.flatMap((ref) => valueOf(ref) ?? []));
  }

  scrub(text: string): string {
    const known = this.#forms.reduce((rest, form) => rest.replaceAll(form, REDACTED), text);
    return LOOKS.reduce((rest, [look, by]) => rest.replaceAll(look, by), known);
  }
}

function valueOf(ref: SecretRef): string | undefined {
  try {
    return resolveSecret(ref);
  } catch (error) {
    if (error instanceof UnderstudyError) return undefined;
    throw error;
  }
}
