import { readFileSync } from 'node:fs';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account that the databases run as: PostgreSQL refuses to run as root. Undefined where we are not root: then it is our own.
 *
 * @throws Error where root has no account to drop to
 */
export function accountOf(
  uid: number | undefined = process.getuid?.(),
  passwd: string = uid === 0 ? readFileSync('/etc/passwd', 'utf8') : '',
): Account | undefined {
  if (uid !== 0) return undefined;
  for (const wanted of ['postgres', 'nobody']) {
    const entry = passwd.split('\n').find((line) => line.startsWith(`${wanted}:`));
    const [name, , uidText, gidText] = entry?.split(':') ?? [];
    if (name !== undefined && uidText !== undefined && gidText !== undefined) return { name, uid: Number(uidText), gid: Number(gidText) };
  }
  throw new Error('root needs an account that PostgreSQL can run as, and there is neither postgres nor nobody in /etc/passwd');
}
