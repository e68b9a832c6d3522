import type { ProviderConfig } from '../model/config.ts';
import { PROVIDER_TYPES } from '../model/config-schema.ts';
import { UnderstudyError } from '../model/error.ts';
import { FileProvider } from './file/file.ts';
import { PowerdnsProvider } from './powerdns/powerdns.ts';
import type { RecordProvider } from './provider.ts';
import { Route53Provider } from './route53/route53.ts';
import { Rfc2136Provider } from './rfc2136/rfc2136.ts';
import type { ResolveSecret } from './rfc2136/rfc2136.ts';

export type { ResolveSecret } from './rfc2136/rfc2136.ts';

/**
 * The provider of that name in the configuration. Nothing is connected or read yet.
 *
 * @throws UnderstudyError `ConfigInvalid` for a type that this version does not know
 */
export function openProvider(name: string, config: ProviderConfig, resolveSecret: ResolveSecret): RecordProvider {
  switch (config.type) {
    case 'rfc2136':
      return new Rfc2136Provider(config, resolveSecret);
    case 'file':
      return new FileProvider(config);
    case 'powerdns':
      return new PowerdnsProvider(config, resolveSecret);
    case 'route53':
      return new Route53Provider(config, resolveSecret);
    default:
      throw new UnderstudyError(
        'ConfigInvalid',
        `the record provider ${name} is of type ${JSON.stringify((config as { type: unknown }).type)}, which this version does not know; it knows ${PROVIDER_TYPES.join(', ')}`,
        { provider: name },
      );
  }
}
