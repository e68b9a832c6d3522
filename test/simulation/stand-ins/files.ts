import { me, sleepMs, theEngine } from '../globals.ts';
import { diskOf } from '../machines.ts';

/** Stands in for node:fs/promises where the agent keeps its state: each step takes its time, and a death between two of them leaves what was safe. */
interface Handle {
  writeFile(text: string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const stepMs = (): number => theEngine().random.between(0.02, 0.6);

export async function open(path: string, flags: string, _mode?: number): Promise<Handle> {
  const disk = diskOf(me().machine);
  await sleepMs(stepMs());
  if (flags === 'r') {
    const syncNames = async (): Promise<void> => {
      await sleepMs(stepMs());
      disk.syncNames();
    };
    return { writeFile: () => Promise.resolve(), close: () => Promise.resolve(), sync: syncNames };
  }
  const inode = disk.create(path);
  return {
    writeFile: async (text) => {
      await sleepMs(stepMs());
      inode.text = text;
    },
    sync: async () => {
      await sleepMs(stepMs());
      inode.safe = inode.text;
    },
    close: () => Promise.resolve(),
  };
}

export async function readFile(path: string, _encoding: string): Promise<string> {
  await sleepMs(stepMs());
  const inode = diskOf(me().machine).find(path);
  if (inode === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
  return inode.text;
}

export async function rename(from: string, to: string): Promise<void> {
  await sleepMs(stepMs());
  diskOf(me().machine).rename(from, to);
}
