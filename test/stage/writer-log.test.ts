import { describe, expect, it } from 'vitest';
import { parseWriterLog } from '../../src/stage/writer-log.ts';
import type { WriterLine } from '../../src/stage/writer-log.ts';

const text = (...lines: WriterLine[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');
const start: WriterLine = { k: 'start', ns: 1, wallMs: 1_700_000_000_000, by: 'w' };

describe("a writer's log", () => {
  it('keeps acknowledged and unknown writes apart', () => {
    const log = parseWriterLog(
      text(
        start,
        { k: 'try', ns: 2, id: 1, port: 5 },
        { k: 'ack', ns: 3, id: 1, port: 5 },
        { k: 'try', ns: 4, id: 2, port: 5 },
        { k: 'unknown', ns: 5, id: 2, port: 5, words: 'reset' },
        { k: 'end', ns: 6 },
      ),
    );
    expect(log.acknowledged).toEqual([{ by: 'w', id: 1, ns: 3, port: 5 }]);
    expect(log.unknown.map((write) => write.id)).toEqual([2]);
    expect(log).toMatchObject({ attempts: 2, startNs: 1, endNs: 6 });
  });

  it('leaves out a last line that was cut off by the death of its writer', () => {
    const log = parseWriterLog(`${text(start, { k: 'ack', ns: 3, id: 1, port: 5 })}{"k":"ack","ns":4,"id":2,"po`);
    expect(log.acknowledged.map((write) => write.id)).toEqual([1]);
    expect(log.endNs).toBeUndefined();
  });

  it('is not judged where a line in the middle cannot be read', () => {
    expect(() => parseWriterLog(`${text(start)}rubbish\n${text({ k: 'end', ns: 9 })}`)).toThrow(/line 2/);
    expect(() => parseWriterLog(`${text(start)}{"k":"other","ns":1}\n`)).toThrow(/line 2/);
    expect(() => parseWriterLog('')).toThrow(/no start/);
  });
});
