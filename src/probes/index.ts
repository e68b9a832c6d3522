import { UnderstudyError } from '../model/error.ts';
import type { ProbeConfig } from '../model/probe.ts';
import { CommandProbe } from './command.ts';
import { DnsProbe } from './dns.ts';
import { GrpcProbe } from './grpc.ts';
import { HttpProbe } from './http.ts';
import { PostgresProbe } from './postgres.ts';
import type { Probe, ResolveSecret } from './probe.ts';
import { PrometheusProbe } from './prometheus.ts';
import { RedisProbe } from './redis.ts';
import { TcpProbe } from './tcp.ts';

/**
 * The probe of that configuration. Nothing is connected or read yet.
 *
 * @throws UnderstudyError `ConfigInvalid` for a type that this version does not know
 */
export function openProbe(config: ProbeConfig, resolveSecret: ResolveSecret): Probe {
  switch (config.type) {
    case 'tcp':
      return new TcpProbe(config);
    case 'http':
      return new HttpProbe(config);
    case 'command':
      return new CommandProbe(config);
    case 'dns':
      return new DnsProbe(config);
    case 'postgres':
      return new PostgresProbe(config, resolveSecret);
    case 'redis':
      return new RedisProbe(config, resolveSecret);
    case 'prometheus':
      return new PrometheusProbe(config);
    case 'grpc':
      return new GrpcProbe(config);
    default:
      config satisfies never;
      throw new UnderstudyError('ConfigInvalid', `a probe is of type ${JSON.stringify((config as { type: unknown }).type)}, which this version does not know`);
  }
}
