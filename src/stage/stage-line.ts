/** What `understudy local up` prints when the stage is ready: whoever has it can break any part by hand. */
export interface StageLine {
  readonly temporal: { readonly address: string; readonly ui: string; readonly namespace: string };
  readonly group: string;
  readonly dns: { readonly address: string };
  readonly record: { readonly name: string; readonly type: string };
  /** To connect with; nobody is asked for a password here. */
  readonly user: string;
  readonly database: string;
  readonly config: string;
  readonly dir: string;
  readonly pids: { readonly stage: number; readonly temporal: number | null; readonly dns: number | null; readonly worker: number | null };
  readonly members: readonly MemberLine[];
}

export interface MemberLine {
  readonly name: string;
  readonly role: 'primary' | 'standby' | 'none';
  readonly port: number;
  readonly dataDir: string;
  readonly stateDir: string;
  /** The agent's. */
  readonly logFile: string;
  readonly databaseLogFile: string;
  readonly pids: MemberPids;
}

/** As seen from outside the database's pid namespace; null where it does not run. */
export interface MemberPids {
  readonly agent: number | null;
  readonly guard: number | null;
  readonly postmaster: number | null;
}
