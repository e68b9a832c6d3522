import { Disk } from './disk.ts';
import type { Machine } from './engine.ts';

const disks = new WeakMap<Machine, Disk>();

/** The disk of a machine: made with the first question about it. */
export function diskOf(machine: Machine): Disk {
  let disk = disks.get(machine);
  if (disk === undefined) disks.set(machine, (disk = new Disk()));
  return disk;
}
