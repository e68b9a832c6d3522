import type { GroupSpec } from './group.ts';

/** `understudy.yaml`, read, checked and in plain numbers: what every process of Understudy starts from. */
export interface Config {
  /** The file it came from. */
  readonly file: string;
  readonly temporal: TemporalConfig;
  readonly providers: Readonly<Record<string, ProviderConfig>>;
  readonly groups: Readonly<Record<string, GroupConfig>>;
}

/** What is left out comes from Temporal's own environment and profiles. */
export interface TemporalConfig {
  readonly address?: string;
  readonly namespace?: string;
  readonly profile?: string;
  /** For links: `http://127.0.0.1:8233` */
  readonly ui?: string;
  /** TLS, in the place of the profile's; `{}` trusts the system's authorities and shows no certificate. */
  readonly tls?: TlsFiles & { readonly serverName?: string };
  readonly apiKey?: SecretRef;
  readonly codec?: CodecConfig;
}

/** Files of PEM, by path: a private key is named like every secret, never written (I9). */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Keys by id. One encrypts what is written from now on, or none does; every one of them decrypts what it wrote. */
export interface CodecConfig {
  readonly encodeWith?: string;
  readonly keys: Readonly<Record<string, SecretRef>>;
}

/** Secrets are named, never written (I9). */
export type SecretRef = { readonly env: string } | { readonly file: string };

export type ProviderConfig = Rfc2136Config | FileConfig | PowerdnsConfig | Route53Config;

export interface Rfc2136Config {
  readonly type: 'rfc2136';
  /** The primary server, which takes updates: `host:port`. */
  readonly server: HostPort;
  /** Further authoritative servers that must answer a change before it counts as verified. */
  readonly secondaries: readonly HostPort[];
  /** Absolute, with its final dot. */
  readonly zone: string;
  readonly tsig: { readonly name: string; readonly algorithm: 'hmac-sha256' | 'hmac-sha512'; readonly secret: SecretRef };
  /** For each question and each update. */
  readonly timeoutMs: number;
}

/** A file on the disk of whoever writes the records. */
export interface FileConfig {
  readonly type: 'file';
  readonly path: string;
  readonly format: 'json' | 'zone';
  /** Absolute, with its final dot. */
  readonly zone: string;
  /** For the lock. */
  readonly timeoutMs: number;
}

export interface PowerdnsConfig {
  readonly type: 'powerdns';
  /** Of the API, without its path. */
  readonly url: string;
  /** Within the API: `localhost`. */
  readonly server: string;
  /** DNS servers that must answer a change before it counts as verified. */
  readonly answering: readonly HostPort[];
  /** Absolute, with its final dot. */
  readonly zone: string;
  readonly key: SecretRef;
  /** For each question and each update. */
  readonly timeoutMs: number;
}

export interface Route53Config {
  readonly type: 'route53';
  /** Absolute, with its final dot. */
  readonly zone: string;
  /** The hosted zone's: `Z0123456789ABCDEFGHIJ`. */
  readonly zoneId: string;
  readonly region: string;
  /** Left out: where AWS' own client looks for them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: SecretRef };
  /** In the place of AWS' own. */
  readonly endpoint?: string;
  /** For each request. */
  readonly timeoutMs: number;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface GroupConfig {
  /** What the workflow is told. */
  readonly spec: GroupSpec;
  readonly postgres: PostgresConfig;
  /** What only the member's own agent needs, by member. */
  readonly local: Readonly<Record<string, MemberLocal>>;
}

export interface MemberLocal {
  readonly dataDir: string;
  /** Epoch, token, sockets and locks: of the agent and the guard alone. */
  readonly stateDir: string;
  /** Where the agent tells its metrics; left out: nowhere. */
  readonly metrics?: HostPort;
}

export interface PostgresConfig {
  /** Where initdb, pg_ctl, postgres, pg_basebackup, pg_rewind and pg_controldata are; left out: found. */
  readonly bin?: string;
  /** The account that the server runs as where the agent is root; left out: `postgres`, else `nobody`. */
  readonly systemUser?: string;
  readonly superuser: Credential;
  readonly replication: Credential;
  /** The database that the agent connects to. */
  readonly maintenanceDatabase: string;
  /** How a newly made database lets clients in from other hosts. */
  readonly auth: 'scram-sha-256' | 'trust';
  /** The log kept for a member that is away, at most. */
  readonly maxWalKeptBytes: number;
  readonly failoverSlots: boolean;
  /** How a member reaches another; left out: encrypted where the other offers it, and nothing is verified. */
  readonly tls?: MemberTls;
}

/** libpq's own words. @see PostgreSQL manual, "SSL Support" of libpq */
export interface MemberTls extends TlsFiles {
  readonly mode: 'require' | 'verify-ca' | 'verify-full';
}

export interface Credential {
  readonly user: string;
  readonly password?: SecretRef;
}
