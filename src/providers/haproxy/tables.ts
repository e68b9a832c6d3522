import type { FoundServer, ServerState } from '../pool-driver.ts';

/** Of `srv_admin_state`: forced, inherited, by name resolution, by a name that is gone. What the file says (4) is forced as well. */
const MAINT = 0x01 | 0x02 | 0x20 | 0x40;
/** Forced, and inherited. */
const DRAIN = 0x08 | 0x10;
/** By `srv_op_state`. */
const HEALTH = ['down', 'starting', 'up', 'stopping'] as const;

/** HAProxy answered, and not what we know: another version, or no HAProxy. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

/**
 * A pool's servers, from `show servers state` (what was told to HAProxy) and `show stat` (what it sees). The columns are found by
 * their names, since versions add some.
 *
 * @throws TableError where one of them is not of that form
 * @see https://docs.haproxy.org/2.6/management.html 9.1 and 9.3
 */
export function readServers(stateText: string, statText: string): FoundServer[] {
  const [version, ...rows] = stateText.split('\n');
  if (version?.trim() !== '1') throw new TableError(`its table of servers is of version ${JSON.stringify(version?.slice(0, 40))}, and 1 is known`);
  const stat = new Map(readTable(statText.split('\n'), ',').map((row) => [text(row, 'svname'), row]));
  return readTable(rows, ' ').map((row) => {
    const name = text(row, 'srv_name');
    const seen = stat.get(name);
    if (seen === undefined) throw new TableError(`its statistics lack the server ${name}`);
    const state = stateOf(number(row, 'srv_admin_state'));
    return {
      name,
      state,
      weight: number(row, 'srv_uweight'),
      sessions: number(seen, 'scur'),
      health: state === 'maint' ? 'unknown' : (HEALTH[number(row, 'srv_op_state')] ?? 'unknown'),
    };
  });
}

const stateOf = (admin: number): ServerState => ((admin & MAINT) !== 0 ? 'maint' : (admin & DRAIN) !== 0 ? 'drain' : 'ready');

type Row = ReadonlyMap<string, string>;

function readTable(lines: readonly string[], separator: string): Row[] {
  const [header, ...rows] = lines.filter((line) => line.trim() !== '');
  if (header === undefined || !header.startsWith('# ')) throw new TableError('its answer is no table');
  const columns = header.slice(2).split(separator);
  return rows.map((row) => {
    const cells = row.split(separator);
    return new Map(columns.map((column, index) => [column, cells[index] ?? '']));
  });
}

function text(row: Row, column: string): string {
  const value = row.get(column);
  if (value === undefined || value === '') throw new TableError(`its table has no ${column}`);
  return value;
}

function number(row: Row, column: string): number {
  const value = text(row, column);
  if (!/^\d{1,15}$/.test(value)) throw new TableError(`its ${column} is ${JSON.stringify(value.slice(0, 40))}`);
  return Number(value);
}
