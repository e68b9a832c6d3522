import { UnderstudyError } from '../model/error.ts';
import type { DatabaseDriver } from './driver.ts';
import { PostgresDriver } from './postgres/driver.ts';
import type { DriverOptions } from './postgres/place.ts';

export type { DriverOptions } from './postgres/place.ts';

const DRIVERS: Readonly<Record<string, (options: DriverOptions) => DatabaseDriver>> = {
  postgres: (options) => new PostgresDriver(options),
};

/** @throws UnderstudyError `BadInput` where there is no driver of that name */
export function openDriver(kind: string, options: DriverOptions): DatabaseDriver {
  const open = Object.hasOwn(DRIVERS, kind) ? DRIVERS[kind] : undefined;
  if (open === undefined)
    throw new UnderstudyError('BadInput', `there is no database driver "${kind}"; there is: ${Object.keys(DRIVERS).join(', ')}`, { kind });
  return open(options);
}
