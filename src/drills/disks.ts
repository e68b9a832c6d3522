import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { type StageLayout, memberDirOf } from '../stage/stage-file.ts';
import { StageError } from '../stage/stage-error.ts';
import { runTool } from './tool.ts';

const SIZE_BYTES = 1024 ** 3;
const BLOCK = Buffer.alloc(1024 ** 2, 1);

/**
 * A disk of its own for each member's data: ext4 in an image, which lies in memory. It can be full and it can turn read-only, as a real one does.
 * What agent and guard keep beside it lies elsewhere.
 */
export class Disks {
  readonly #layout: StageLayout;
  readonly #members: readonly string[];

  private constructor(layout: StageLayout, members: readonly string[]) {
    this.#layout = layout;
    this.#members = members;
  }

  static async make(layout: StageLayout, members: readonly string[]): Promise<Disks> {
    const disks = new Disks(layout, members);
    mkdirSync(disks.#images, { mode: 0o755 });
    await runTool('mount', ['-t', 'tmpfs', 'tmpfs', disks.#images]);
    for (const member of members) {
      const image = disks.#imageOf(member);
      closeSync(openSync(image, 'w', 0o600));
      truncateSync(image, SIZE_BYTES);
      await runTool('mkfs.ext4', ['-q', '-O', '^has_journal', '-m', '0', '-E', 'lazy_itable_init=1', image]);
      await disks.#mount(member);
    }
    return disks;
  }

  get #images(): string {
    return path.join(this.#layout.dir, 'disks');
  }

  #imageOf(member: string): string {
    return path.join(this.#images, `${member}.img`);
  }

  async #mount(member: string): Promise<void> {
    const home = memberDirOf(this.#layout, member);
    const state = path.join(this.#layout.dir, 'states', member);
    mkdirSync(home, { recursive: true, mode: 0o755 });
    mkdirSync(state, { recursive: true, mode: 0o755 });
    await runTool('mount', ['-o', 'loop,errors=remount-ro', this.#imageOf(member), home]);
    chmodSync(home, 0o755);
    mkdirSync(path.join(home, 'state'), { recursive: true, mode: 0o755 });
    await runTool('mount', ['--bind', state, path.join(home, 'state')]);
  }

  /** Takes every free block. */
  fill(member: string): void {
    const filler = openSync(this.#fillerOf(member), 'a', 0o600);
    try {
      for (let size = BLOCK.length; size >= 1024;) {
        try {
          if (writeSync(filler, BLOCK, 0, size) < size) size /= 2;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          size /= 2;
        }
      }
    } finally {
      closeSync(filler);
    }
    const { bavail, bsize } = statfsSync(memberDirOf(this.#layout, member));
    if (bavail * bsize > 1024 ** 2) throw new StageError(`the disk of ${member} has ${bavail * bsize} bytes left: it could not be filled`);
  }

  free(member: string): void {
    rmSync(this.#fillerOf(member), { force: true });
  }

  #fillerOf(member: string): string {
    return path.join(memberDirOf(this.#layout, member), 'filler');
  }

  /** The kernel takes the disk for broken from now on, and lets nobody write to it any more. */
  async breakDisk(member: string): Promise<void> {
    const device = (await runTool('findmnt', ['-n', '-o', 'SOURCE', '--mountpoint', memberDirOf(this.#layout, member)])).trim();
    writeFileSync(`/sys/fs/ext4/${path.basename(device)}/trigger_fs_error`, '1');
  }

  /** What a person does then: the file system is repaired and mounted again. Nothing may use it. */
  async repair(member: string): Promise<void> {
    const home = memberDirOf(this.#layout, member);
    await runTool('umount', [path.join(home, 'state')]);
    await runTool('umount', [home]);
    // Ends with 1 where it has corrected something.
    await runTool('sh', ['-c', 'e2fsck -fy "$1" || test $? -eq 1', 'sh', this.#imageOf(member)]);
    await this.#mount(member);
  }

  /** Every database has ended. What remains of the stage's directory are logs and states. */
  async remove(): Promise<void> {
    for (const member of this.#members) {
      const home = memberDirOf(this.#layout, member);
      for (const mount of [path.join(home, 'state'), home]) if (isMounted(mount)) await runTool('umount', [mount]);
    }
    if (existsSync(this.#images) && isMounted(this.#images)) await runTool('umount', [this.#images]);
  }
}

function isMounted(directory: string): boolean {
  return statSync(directory).dev !== statSync(path.dirname(directory)).dev || readFileSync('/proc/self/mounts', 'utf8').includes(` ${directory} `);
}
