import type { Credential, HostPort, SecretRef } from './config.ts';

/** How one thing is looked at, in plain numbers. How often, and how many looks make a verdict, is of the service, not of the probe. */
export type ProbeConfig =
  | TcpProbeConfig
  | HttpProbeConfig
  | CommandProbeConfig
  | DnsProbeConfig
  | PostgresProbeConfig
  | RedisProbeConfig
  | PrometheusProbeConfig
  | GrpcProbeConfig;

interface Limited {
  /** For one look, from names to the last byte: it really ends then. */
  readonly timeoutMs: number;
}

/** Without `expect`, up is that the host's kernel took the connection: a process that hangs is not noticed. */
export interface TcpProbeConfig extends Limited {
  readonly type: 'tcp';
  readonly host: string;
  readonly port: number;
  /** Written once connected. */
  readonly send?: string;
  /** Must be somewhere in the first 64 kB of what comes. */
  readonly expect?: string;
}

/** Every condition that is given must hold. Redirects are not followed: they are an answer, with a status of their own. */
export interface HttpProbeConfig extends Limited {
  readonly type: 'http';
  /** `https://10.0.0.1:8443/healthz` */
  readonly url: string;
  /** Left out: GET. */
  readonly method?: 'GET' | 'HEAD' | 'OPTIONS' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Each a status, or a range with both ends in it; left out: 200 to 299. */
  readonly status?: readonly (number | readonly [from: number, to: number])[];
  readonly body?: { readonly contains?: string; readonly matches?: string };
  readonly json?: JsonCondition;
  /** Dotted path of the number that is the reading: `queue.depth`, `pools.0.used`. */
  readonly read?: string;
  readonly tls?: HttpProbeTls;
}

export interface JsonCondition {
  readonly path: string;
  readonly equals?: string | number | boolean | null;
  readonly above?: number;
  readonly below?: number;
}

export interface HttpProbeTls {
  /** A file of PEM; left out: the authorities that Node brings along. */
  readonly ca?: string;
  /** The name that the certificate must bear, and that is asked for; left out: the URL's host. */
  readonly serverName?: string;
  /** Down as soon as the certificate has less than this left. */
  readonly expiresWithinMs?: number;
}

/** A program of the operator's own: exit code 0 is up, 1 and 2 are down, and anything else is unknown, as in Nagios' plugins. */
export interface CommandProbeConfig extends Limited {
  readonly type: 'command';
  /** The program and its arguments; no shell reads them. */
  readonly argv: readonly [program: string, ...args: string[]];
  /** Besides PATH, HOME, LANG and TZ, which are all that it inherits. */
  readonly env?: Readonly<Record<string, string>>;
  /** The first line that it prints is a number, which is the reading. */
  readonly reading?: boolean;
}

/** Asks one DNS server. */
export interface DnsProbeConfig extends Limited {
  readonly type: 'dns';
  readonly server: HostPort;
  readonly name: string;
  readonly recordType: 'A' | 'AAAA' | 'CNAME' | 'TXT';
  /** Values that must all be in the answer; left out: any answer that has one. */
  readonly expect?: readonly string[];
  /** The server must answer as an authority, not from a cache, and is not asked to look further. */
  readonly authoritative?: boolean;
}

/** Signs in and asks whether it is in recovery. */
export interface PostgresProbeConfig extends Limited {
  readonly type: 'postgres';
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly login: Credential;
  readonly expect: 'primary' | 'standby' | 'any';
}

/** PING, and ROLE where one is expected. */
export interface RedisProbeConfig extends Limited {
  readonly type: 'redis';
  readonly host: string;
  readonly port: number;
  /** Left out: the default user. */
  readonly user?: string;
  readonly password?: SecretRef;
  readonly expect: 'primary' | 'standby' | 'any';
}

/** Reads one number from Prometheus. It never says down: that Prometheus fails says nothing of what it watches. */
export interface PrometheusProbeConfig extends Limited {
  readonly type: 'prometheus';
  /** `http://10.0.0.5:9090`, or with the path that it is served under. */
  readonly url: string;
  /** PromQL that gives one number: a scalar, or a vector of one series. */
  readonly query: string;
}

/** gRPC's health protocol, without TLS. */
export interface GrpcProbeConfig extends Limited {
  readonly type: 'grpc';
  readonly host: string;
  readonly port: number;
  /** Left out: the server as a whole. */
  readonly service?: string;
}
