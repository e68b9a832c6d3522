import type { Random } from './random.ts';

interface Inode {
  text: string;
  safe: string;
}

/** Files as a kernel keeps them: what was not synced, names included, may be gone after the power was. */
export class Disk {
  #names = new Map<string, Inode>();
  #safeNames = new Map<string, Inode>();
  /** Nothing can be written any more. */
  full = false;

  create(path: string): Inode {
    const inode = { text: '', safe: '' };
    this.#names.set(path, inode);
    return inode;
  }

  find(path: string): Inode | undefined {
    return this.#names.get(path);
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) throw Object.assign(new Error(`no such file: ${from}`), { code: 'ENOENT' });
    this.#names.delete(from);
    this.#names.set(to, inode);
  }

  syncNames(): void {
    this.#safeNames = new Map(this.#names);
  }

  losePower(random: Random): void {
    // A name that was not synced may have reached the disk all the same.
    if (random.chance(0.5)) this.#names = new Map(this.#safeNames);
    for (const inode of this.#names.values()) inode.text = inode.safe;
    this.#safeNames = new Map(this.#names);
  }
}
