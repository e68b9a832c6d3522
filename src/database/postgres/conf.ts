import { stat } from 'node:fs/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { Settings } from '../driver.ts';
import { prepareState, readIfThere, writeWhole } from './file.ts';
import type { Place } from './place.ts';
import { OUR_NAMES, OWN_NAMES, makeSettings, printSettings, type OwnValues } from './settings.ts';
import { runTool } from './tool.ts';

const INCLUDE = "include_if_exists = 'understudy.conf'";
const INCLUDE_LINE = `${INCLUDE}  # Understudy's settings: keep this line the last`;
const OURS = /^\s*include_if_exists\s*=?\s*'understudy\.conf'/;

/** The settings files of one data directory: ours is written whole, the user's own are only ever relieved of our lines. */
export class ConfFiles {
  readonly #place: Place;
  #own: Promise<OwnValues> | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Puts our settings in force for the next start or reload. Repeating it changes nothing. */
  async put(settings: Settings, dataDir = this.#place.dataDir): Promise<Map<string, string>> {
    await this.renewPassword();
    const lines = await this.wanted(settings, dataDir);
    await this.#replace(`${dataDir}/understudy.conf`, printSettings(this.#place.options.group, lines));
    await this.#include(dataDir);
    await this.#relieve(dataDir, [...lines.keys()]);
    return lines;
  }

  /** What our file says, or would say. */
  async wanted(settings: Settings, dataDir = this.#place.dataDir): Promise<Map<string, string>> {
    const own = await this.own(dataDir);
    const { options, member, passFile } = this.#place;
    const { postgres } = options;
    const password = this.#place.password(postgres.replication);
    return makeSettings({
      group: options.group,
      member: member.name,
      memberCount: options.members.length,
      settings,
      own,
      postgres,
      passFile: password === undefined ? undefined : passFile,
    });
  }

  /** The replication password as it is now, for every connection that the database makes from here on. */
  async renewPassword(): Promise<void> {
    const { replication } = this.#place.options.postgres;
    const password = this.#place.password(replication);
    if (password !== undefined) await this.#putPassFile(replication.user, password);
  }

  /** The user's values, read by PostgreSQL itself from the user's files alone. Kept until `forget`. */
  own(dataDir = this.#place.dataDir): Promise<OwnValues> {
    if (this.#own === undefined) {
      const asked = this.#readOwn(dataDir);
      this.#own = asked;
      asked.catch(() => {
        if (this.#own === asked) this.#own = undefined;
      });
    }
    return this.#own;
  }

  forget(): void {
    this.#own = undefined;
  }

  async #readOwn(dataDir: string): Promise<OwnValues> {
    await this.#relieve(dataDir);
    const text = (await this.#main(dataDir))
      .split('\n')
      .filter((line) => !OURS.test(line))
      .join('\n');
    const account = await this.#place.account();
    const file = `${dataDir}/understudy.own.conf`;
    await writeWhole(file, text, account, 0o600, false);
    const ask = async (name: string): Promise<string> => {
      const answer = await runTool(this.#place, 'postgres', ['-C', name, '-D', dataDir, '-c', `config_file=${file}`], { timeoutMs: 20_000 });
      if (!answer.ok)
        throw new UnderstudyError(
          'DatabaseFailed',
          `the settings of ${this.#place.member.name} in ${dataDir} cannot be read: ${answer.words}. Next: correct the user's settings there.`,
        );
      return answer.stdout.trim();
    };
    const names = Object.entries(OWN_NAMES);
    const values = Object.fromEntries(await Promise.all(names.map(async ([key, name]) => [key, await ask(name)] as const)));
    return {
      walLevel: values['walLevel'] ?? '',
      maxWalSenders: Number(values['maxWalSenders']),
      maxReplicationSlots: Number(values['maxReplicationSlots']),
      superuserReserved: Number(values['superuserReserved']),
      synchronousCommit: values['synchronousCommit'] ?? '',
      listenAddresses: values['listenAddresses'] ?? '',
      socketDirectories: values['socketDirectories'] ?? '',
      version: Number(values['version']),
    };
  }

  async #main(dataDir: string): Promise<string> {
    const text = await readIfThere(`${dataDir}/postgresql.conf`);
    if (text !== undefined) return text;
    throw new UnderstudyError(
      'DatabaseFailed',
      `${this.#place.member.name} has no postgresql.conf in its data directory ${dataDir}. Next: where the distribution keeps it elsewhere (Debian: /etc/postgresql), ` +
        'copy postgresql.conf, pg_hba.conf and pg_ident.conf into the data directory and take the lines data_directory, hba_file, ident_file and external_pid_file out.',
      { dataDir },
    );
  }

  /** Our line stands last, so that nothing of the user's outranks what it includes. */
  async #include(dataDir: string): Promise<void> {
    const text = await this.#main(dataDir);
    const kept = text.split('\n').filter((line) => !OURS.test(line));
    while (kept.at(-1)?.trim() === '') kept.pop();
    await this.#replace(`${dataDir}/postgresql.conf`, `${kept.join('\n')}\n${INCLUDE_LINE}\n`);
  }

  /** `postgresql.auto.conf` outranks every included file; pg_rewind and pg_basebackup bring that of the other member. */
  async #relieve(dataDir: string, also: readonly string[] = []): Promise<void> {
    const ours = new Set([...OUR_NAMES, ...also]);
    const file = `${dataDir}/postgresql.auto.conf`;
    const text = await readIfThere(file);
    if (text === undefined) return;
    const kept = text.split('\n').filter((line) => !ours.has((/^\s*([A-Za-z_.]+)/.exec(line)?.[1] ?? '').toLowerCase()));
    await this.#replace(file, kept.join('\n'));
  }

  async #putPassFile(user: string, password: string): Promise<void> {
    await prepareState(this.#place);
    const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
    await this.#replace(this.#place.passFile, `*:*:*:${escape(user)}:${escape(password)}\n`);
  }

  async #replace(file: string, text: string): Promise<void> {
    if ((await readIfThere(file)) === text) return;
    const mode = await stat(file).then(
      (found) => found.mode & 0o777,
      () => 0o600,
    );
    // Every start and every role writes it again, so that the rename may be lost in a crash; the wait for it would not.
    await writeWhole(file, text, await this.#place.account(), file === this.#place.passFile ? 0o600 : mode, false);
  }
}
