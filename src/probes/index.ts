import type { SecretRef } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import type { ProbeConfig } from '../model/probe.ts';
import { CommandProbe } from './command.ts';
import { DnsProbe } from './dns.ts';
import { HttpProbe } from './http.ts';
import type { Probe } from './probe.ts';
import { TcpProbe } from './tcp.ts';

/** Reads a secret where it is used (I9). */
export type ResolveSecret = (ref: SecretRef) => string;

/**
 * The probe of that configuration. Nothing is connected or read yet.
 *
 * @throws UnderstudyError `ConfigInvalid` for a type that this version does not know
 */
export function openProbe(config: ProbeConfig, _resolveSecret: ResolveSecret): Probe {
  switch (config.type) {
    case 'tcp':
      return new TcpProbe(config);
    case 'http':
      return new HttpProbe(config);
    case 'command':
      return new CommandProbe(config);
    case 'dns':
      return new DnsProbe(config);
    default:
      config satisfies never;
      throw new UnderstudyError('ConfigInvalid', `a probe is of type ${JSON.stringify((config as { type: unknown }).type)}, which this version does not know`);
  }
}
