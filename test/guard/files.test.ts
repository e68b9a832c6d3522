import { spawnSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { GUARD_SCRIPT, Stand, sleeper } from './stand.ts';

describe("the guard's files", () => {
  const stand = new Stand();
  afterAll(() => stand.end());

  it('its socket, lock and log are open to its own account alone', async () => {
    const guard = await stand.guard();
    await guard.start(sleeper(stand));
    const modes = ['guard.sock', 'guard.lock', 'guard.log'].map((name) => statSync(join(guard.stateDir, name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o600]);
  });

  it('a guard does not start where others could write beside it, and says what to do', () => {
    const stateDir = stand.newStateDir();
    chmodSync(stateDir, 0o777);
    const { status, stderr } = spawnSync(process.execPath, [GUARD_SCRIPT, '--state-dir', stateDir], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/may be written by others \(mode 777\).*Next: chmod go-w /);
  });
});
