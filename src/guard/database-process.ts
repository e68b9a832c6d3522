import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import type { LaunchSpec } from './messages.ts';
import { LIFELINE, commandFor, type Host } from './namespace.ts';
import { childrenOf, descriptorOf, hasEnded, holdersOf, identify, isStopped, lastMomentsOf, type Identity } from './process-tree.ts';

/** How often the last of the ending processes is looked for. */
const ENDING_LOOK_MS = 1;
/** How often, without a namespace, what the dead server has left is looked for: a process that was just being forked is seen by the next look. */
const LEFT_LOOK_MS = 20;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly words: string;
}

export interface DatabaseEvents {
  /** Its own process is there; `pid` as seen from here. */
  up(pid: number): void;
  /** The last of its processes is gone. */
  gone(ended: Ended): void;
}

/** The processes of one started database: the chain that ties it to the guard, and everything below. */
export class DatabaseProcess {
  readonly #child: ChildProcess;
  /** Undefined where the child could not be started at all. */
  readonly #lifeline: Duplex | undefined;
  readonly #host: Host;
  readonly #events: DatabaseEvents;
  /** Whose the processes of the database are. */
  readonly #uid: number;
  #reaper: number | undefined;
  #pid: number | undefined;
  #socket: string | undefined;
  #heard = '';
  #ended = false;
  #killed = false;
  /** Whose end is the end of all: process 1 of the namespace, or each process that we killed. */
  readonly #last = new Map<number, Identity>();
  #looking: NodeJS.Timeout | undefined;

  /** @throws Error of the system where its log cannot be opened; a command that cannot be run is told as `gone` */
  constructor(launch: LaunchSpec, host: Host, events: DatabaseEvents) {
    this.#host = host;
    this.#events = events;
    this.#uid = launch.user?.uid ?? process.getuid?.() ?? 0;
    const [command = '', ...args] = commandFor(launch, host);
    const log = openSync(launch.logFile, 'a', 0o640);
    try {
      this.#child = spawn(command, args, {
        cwd: launch.cwd,
        env: { ...launch.env },
        stdio: ['ignore', log, log, 'pipe'],
        ...(host.setpriv === undefined && launch.user !== undefined ? launch.user : {}),
      });
    } finally {
      closeSync(log);
    }
    this.#lifeline = this.#child.stdio[LIFELINE] as Duplex | undefined;
    let failure: Error | undefined;
    this.#child.on('error', (error) => {
      failure = error;
      if (this.#child.pid === undefined) this.#finish(null, null, failure);
    });
    // `close` comes after both: the chain has exited and no process of the database holds the lifeline, nor its other files.
    this.#child.on('close', (code, signal) => {
      clearInterval(this.#looking);
      // They let go of the lifeline before they are dead.
      if (host.namespace === 'none') for (const identity of lastMomentsOf(this.#uid)) this.#last.set(identity.pid, identity);
      this.#finishWhenOver(code, signal, failure);
    });
    this.#child.on('exit', () => {
      if (host.namespace !== 'none') return;
      this.#killHolders();
      this.#looking = setInterval(() => this.#killHolders(), LEFT_LOOK_MS);
    });
    this.#lifeline?.on('data', (chunk: Buffer) => this.#hear(chunk.toString('latin1')));
    // A child that dies with the line in its hands: `close` tells.
    this.#lifeline?.on('error', () => this.#lifeline?.destroy());
  }

  /** The database's own process as seen from here. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Signals the database's own process. False where it is not there yet, or stopped, and so would not act on it. */
  signal(name: NodeJS.Signals): boolean {
    if (this.#ended || this.#pid === undefined) return false;
    return send(this.#pid, name) && !isStopped(this.#pid);
  }

  /** SIGKILL to everything. In a namespace the kernel does it through process 1. */
  kill(): void {
    if (this.#ended) return;
    this.#killed = true;
    const { pid, exitCode, signalCode } = this.#child;
    const runs = pid !== undefined && exitCode === null && signalCode === null;
    if (this.#reaper !== undefined) send(this.#reaper, 'SIGKILL');
    // Left alone, `unshare` collects the reaper and ends; stopped, it could not.
    if (runs && (this.#reaper === undefined || isStopped(pid))) send(pid, 'SIGKILL');
    if (this.#host.namespace === 'none') this.#killHolders();
  }

  /** Without a namespace the backends of a dead server live on until they look: each still holds the lifeline, and so is found. */
  #killHolders(): void {
    if (this.#socket === undefined) return;
    for (const pid of holdersOf(LIFELINE, this.#socket)) {
      const identity = identify(pid);
      if (identity !== undefined) this.#last.set(pid, identity);
      send(pid, 'SIGKILL');
    }
  }

  #hear(text: string): void {
    this.#heard += text;
    const lines = this.#heard.split('\n');
    this.#heard = lines.pop() ?? '';
    for (const line of lines) {
      if (line === 'ready') this.#release();
      else if (line === 'up') this.#settle();
    }
  }

  #release(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    if (this.#host.namespace === 'none') this.#socket = descriptorOf(pid, LIFELINE);
    else {
      this.#reaper = childrenOf(pid)[0];
      const identity = this.#reaper === undefined ? undefined : identify(this.#reaper);
      if (identity !== undefined) this.#last.set(identity.pid, identity);
    }
    this.#lifeline?.write('go\n');
  }

  #settle(): void {
    this.#pid = this.#host.namespace === 'none' ? this.#child.pid : childrenOf(this.#reaper ?? 0)[0];
    if (this.#pid !== undefined) this.#events.up(this.#pid);
  }

  #finishWhenOver(code: number | null, signal: string | null, failure: Error | undefined): void {
    if ([...this.#last.values()].every(hasEnded)) this.#finish(code, signal, failure);
    else setTimeout(() => this.#finishWhenOver(code, signal, failure), ENDING_LOOK_MS);
  }

  #finish(code: number | null, signal: string | null, failure: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#lifeline?.destroy();
    // `unshare` cannot end itself by SIGKILL as its child did: it exits with 1.
    const killed = this.#killed && this.#host.namespace !== 'none' && code === 1;
    this.#events.gone(describe(killed ? null : code, killed ? 'SIGKILL' : signal, failure));
  }
}

/** The reaper passes on a death by signal as shells do: 128 and the signal's number. */
function describe(code: number | null, signal: string | null, failure: Error | undefined): Ended {
  if (failure !== undefined) return { code, signal, words: `it could not be started: ${failure.message}` };
  const name = signal ?? (code !== null && code > 128 ? signalName(code - 128) : undefined);
  if (name !== undefined) return { code: null, signal: name, words: `ended by ${name}` };
  return { code, signal: null, words: code === 0 ? 'ended in order' : `exited with code ${code}` };
}

function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}

/** False where there is no such process any more. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
