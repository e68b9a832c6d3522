import type { Proc } from './engine.ts';
import type { Fault } from './faults.ts';
import { runningGuard } from './guard-process.ts';
import type { MemberHost } from './members.ts';
import { UNHEARD } from './run.ts';
import { SERVER } from './server.ts';
import type { World } from './world.ts';

const SIGNED = { by: 'ada', reason: 'to see what happens' };
const OTHER = { by: 'bob', reason: 'because' };

/** Lets one fault happen, and has it undone after its time. */
export function applyFault(world: World, fault: Fault): void {
  const { engine, network, server, records } = world;
  const host = hostOf(world, fault.who);
  const { forMs, dice } = fault;
  const { leaseMs } = world.spec;
  const others = world.spec.members.map(({ name }) => name).filter((name) => name !== host.name);
  const other = others[Math.floor(dice * others.length)] ?? host.name;
  world.note('FAULT', () => `${fault.kind} ${host.name}${fault.kind.includes('member') ? ` and ${other}` : ''} for ${forMs} ms`);
  switch (fault.kind) {
    case 'agent-killed':
      host.restartAgentMs = forMs;
      kill(host.agent);
      return;
    case 'agent-frozen':
      return freeze([host.agent]);
    case 'guard-killed':
      return kill(runningGuard(host.machine)?.proc);
    case 'guard-frozen':
      return freeze([runningGuard(host.machine)?.proc]);
    case 'database-killed':
      return kill(host.database?.proc);
    case 'database-frozen':
      return freeze([host.database?.proc]);
    case 'node-killed':
      host.restartAgentMs = forMs;
      for (const proc of host.procs) kill(proc);
      return;
    case 'node-frozen':
      return freeze(host.procs);
    case 'power-lost':
      host.losePower();
      world.undo(forMs, () => host.boot());
      return;
    case 'late-answers-then-cut':
      // What the server acknowledges arrives late; then the standbys hear nothing, and a moment later neither does the server. What was under way still arrives.
      slowOneWay(SERVER, host.name, dice * leaseMs, 9 * leaseMs);
      world.undo(2 * leaseMs, () => {
        for (const name of others) cut(host.name, name, 6 * leaseMs);
        world.undo(forMs % 100, () => cutOneWay(host.name, SERVER, 6 * leaseMs));
      });
      return;
    case 'late-words-then-cut':
      // The standbys' words arrive late; then nothing reaches them any more, and what they had said still comes in. Somebody asks for a failover meanwhile.
      cut(host.name, SERVER, 8 * leaseMs);
      for (const name of others) slowOneWay(name, host.name, dice * leaseMs, 9 * leaseMs);
      world.undo(2 * leaseMs, () => {
        for (const name of others) cutOneWay(host.name, name, 6 * leaseMs);
        world.undo(leaseMs * (0.8 + (forMs % 100) / 400), () => ask('failover', SIGNED));
      });
      return;
    case 'cut-at-promotion':
      // Its order arrives, and then nothing more, nor anything that it sends. Somebody would rather lose what it may hold than wait for it.
      kill(host.database?.proc);
      for (const leases of [3, 5]) world.undo(leases * leaseMs, () => ask('failover', { ...SIGNED, acceptLoss: true }));
      server.nextScheduled('promote', ({ queue }) =>
        world.undo(dice * 8, () => {
          const name = memberOf(queue);
          cut(name, SERVER, 6 * leaseMs);
          for (const one of world.spec.members) if (one.name !== name) cut(name, one.name, 6 * leaseMs);
        }),
      );
      return;
    case 'order-lost': {
      const { name: was, database } = hostOf(world, 'primary');
      // It is never told to promote itself, and its role finds it. What the primary wrote last has reached nobody.
      for (const { name } of world.spec.members) if (name !== was) cut(was, name, 2 * leaseMs);
      world.undo(40 + (forMs % 60), () => {
        kill(database?.proc);
        server.nextScheduled('promote', ({ queue }) => cutOneWay(SERVER, memberOf(queue), 2.5 * leaseMs));
      });
      return;
    }
    case 'islands': {
      // One standby is away until the group no longer counts on it; then it is all that the server still sees.
      const [first = host.name, second = host.name] = others;
      for (const name of [host.name, first]) cut(name, second, 12 * leaseMs);
      world.undo(2000 + dice * 2000, () => {
        for (const name of [host.name, first]) cut(name, SERVER, 8 * leaseMs);
      });
      return;
    }
    case 'islands-at-return': {
      // The same for one that is about to be counted on again.
      const [first = host.name, second = host.name] = others;
      cut(host.name, second, 2500);
      // Its primary is told meanwhile whose word it needs.
      world.undo(2000, () => continueAsNew());
      world.undo(2600 + dice * 900, () => {
        for (const name of [host.name, first]) cut(name, SERVER, 8 * leaseMs);
        world.undo(forMs % 100, () => {
          for (const name of [host.name, first]) cut(name, second, 12 * leaseMs);
        });
      });
      return;
    }
    case 'machine-paused':
      return pauseMachine(host);
    case 'temporal-killed':
      server.kill();
      world.undo(forMs, () => server.start());
      return;
    case 'temporal-frozen':
      server.freeze();
      world.undo(forMs, () => server.thaw());
      return;
    case 'workers-away':
      server.workersFromMs = Math.max(server.workersFromMs, engine.nowMs + forMs);
      return;
    case 'cut-from-all':
      for (const name of [...others, SERVER]) cut(host.name, name);
      return;
    case 'cut-from-temporal':
      return cut(host.name, SERVER);
    case 'cut-to-temporal':
      return dice < 0.5 ? cutOneWay(host.name, SERVER) : cutOneWay(SERVER, host.name);
    case 'cut-from-member':
      return cut(host.name, other);
    case 'cut-to-member':
      return cutOneWay(host.name, other);
    case 'temporal-cut-off':
      for (const name of [host.name, ...others]) cut(name, SERVER);
      return;
    case 'slow-to-temporal':
      slow(host.name, SERVER);
      return slow(SERVER, host.name);
    case 'slow-to-members':
      for (const name of others) slow(host.name, name);
      return;
    case 'flapping':
      for (let atMs = 0; atMs < forMs; atMs += 200) engine.at(atMs, undefined, () => cut(host.name, dice < 0.5 ? SERVER : other, 120));
      return;
    case 'disk-full':
      world.fullDisks.add(host.name);
      world.undo(forMs, () => world.fullDisks.delete(host.name));
      return;
    case 'disk-hangs':
      if (host.database !== undefined) host.database.hungUntilMs = engine.nowMs + forMs;
      return;
    case 'late-server':
      server.lateMs = 1000;
      return;
    case 'failover-asked':
      return ask('failover', { ...SIGNED, ...(dice < 0.4 ? { to: other } : {}) });
    case 'switchover-asked':
      return ask('switchover', { ...OTHER, ...(dice < 0.6 ? { to: other } : {}) });
    case 'paused':
      ask('pause', { ...SIGNED, untilResumed: true });
      world.undo(forMs, () => ask('resume', SIGNED));
      return;
    case 'excluded':
      ask('exclude', { ...SIGNED, member: other });
      world.undo(forMs, () => ask('include', { ...OTHER, member: other }));
      return;
    case 'overridden':
      world.checks.minIntervalMs = 0;
      return ask('override', SIGNED);
    case 'continued-as-new':
      return continueAsNew();
    case 'terminated-and-started':
      world.needsPerson = true;
      world.checks.minIntervalMs = 0;
      return server.whenUp(() => {
        server.terminate(`group/${world.spec.name}`);
        startAgain(Math.max(50, dice * 2000));
      });
    case 'reset-to-the-start':
      world.needsPerson = true;
      world.checks.minIntervalMs = 0;
      return server.whenUp(() => {
        const [input] = world.group?.args ?? [];
        server.terminate(`group/${world.spec.name}`);
        world.startGroup((input as object | undefined) ?? { spec: world.spec, specHash: 'h' }, true);
      });
    case 'role-paused':
      // Whoever pauses a role lets it go on again; that the group does not wait for it is the agent's doing.
      world.undo(forMs, () => server.letRolesGoOn(host.name));
      return server.whenUp(() => server.pauseRoles(host.name));
    case 'promoted-by-hand': {
      const { database } = host;
      if (database?.inRecovery === true && database.accepts && database.proc.state === 'running') {
        world.needsPerson = true;
        database.promote(true, () => {});
      }
      return;
    }
    case 'stopped-by-hand':
      if (host.database?.proc.state === 'running') host.database.stopInOrder();
      return;
    case 'replay-paused': {
      const { database } = host;
      if (database === undefined) return;
      database.replayPaused = true;
      world.undo(forMs, () => {
        database.replayPaused = false;
      });
      return;
    }
    case 'record-stolen':
      records.overwrite({
        state: 'owned',
        record: { name: 'orders.example.', type: 'CNAME', ttlSeconds: 1, values: ['elsewhere.'], owner: 'another/group', epoch: 1 },
      });
      world.undo(forMs, () => {
        records.overwrite({ state: 'absent' });
        world.needsPerson = true;
      });
      return;
    case 'names-away':
      records.downUntilMs = engine.nowMs + forMs;
      return;
    case 'names-slow':
      records.slowMs = 2000;
      world.undo(forMs, () => {
        records.slowMs = 0;
      });
      return;
  }

  function kill(proc: Proc | undefined): void {
    if (proc !== undefined) engine.kill(proc);
  }

  function freeze(procs: readonly (Proc | undefined)[]): void {
    const frozen = procs.filter((proc) => proc !== undefined);
    for (const proc of frozen) engine.freeze(proc);
    world.undo(forMs, () => {
      for (const proc of frozen) engine.thaw(proc);
      const { database } = host;
      if (database?.proc.state === 'running') world.checks.resumed(database);
    });
  }

  function pauseMachine({ machine, procs }: MemberHost): void {
    world.checks.clocksStood = true;
    machine.pausedSinceMs = engine.nowMs;
    for (const proc of procs) engine.freeze(proc);
    world.undo(forMs, () => {
      machine.pausedMs += engine.nowMs - (machine.pausedSinceMs ?? engine.nowMs);
      machine.pausedSinceMs = undefined;
      for (const proc of procs) engine.thaw(proc);
    });
  }

  function cutOneWay(from: string, to: string, lastsMs = forMs): void {
    network.cut(from, to);
    world.undo(lastsMs, () => network.heal(from, to));
  }

  function cut(a: string, b: string, lastsMs = forMs): void {
    cutOneWay(a, b, lastsMs);
    cutOneWay(b, a, lastsMs);
  }

  function continueAsNew(): void {
    if (world.group === undefined) return;
    world.group.suggested = true;
    world.group.addJob(() => {});
  }

  function slow(from: string, to: string): void {
    slowOneWay(from, to, dice * 1.5 * world.spec.leaseMs);
  }

  function slowOneWay(from: string, to: string, byMs: number, lastsMs = forMs): void {
    network.slow(from, to, byMs);
    world.undo(lastsMs, () => network.slow(from, to, -byMs));
  }

  function ask(word: string, of: object): void {
    server.whenUp(() =>
      world.group?.addUpdate(word, [of], (answer) => {
        world.note('operator', () => `${word} ${JSON.stringify(of)}: ${answer}`);
        // A run that ends without having heard it: the server asks the next one.
        if (answer === UNHEARD) server.later(20, () => ask(word, of));
      }),
    );
  }

  /** As `understudy apply` does: not while an incident of its former life runs. */
  function startAgain(afterMs: number): void {
    server.later(afterMs, () => {
      if (world.incidentOpen) startAgain(500);
      else world.startGroup();
    });
  }
}

/** `member/orders/pg-b` */
const memberOf = (queue: string): string => queue.split('/').at(-1) ?? '';

function hostOf(world: World, who: Fault['who']): MemberHost {
  const names = world.spec.members.map(({ name }) => name);
  const open = [...world.databases()].find((database) => !database.inRecovery)?.name ?? world.status?.primary ?? names[0] ?? '';
  const others = names.filter((name) => name !== open);
  return world.host(who === 'primary' ? open : ((who === 'first' ? others[0] : others.at(-1)) ?? open));
}
