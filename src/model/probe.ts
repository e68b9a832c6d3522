/** How one thing is looked at, in plain numbers. How often, and how many looks make a verdict, is of the service, not of the probe. */
export type ProbeConfig = TcpProbeConfig;

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
