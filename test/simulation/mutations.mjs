/**
 * Each rule of the protocol, and how it is taken out: an edit of the compiled code as it is loaded, so that what breaks is the real thing without that rule.
 *
 * `backed` is what else has to be out for the rule to be missed at all: alone, it is shown to break nothing in the schedule that counts.
 * `within` is how many schedules may pass before it must be caught, `kinds` and `mode` what they are drawn of. `ends`: without this rule a group may not become
 * whole again, which is no proof that a rule about two writers is missed.
 */
const edit = (file, find, replacement) => ({ file, find, replacement });
const rule = (id, where, words, drawn, ...edits) => ({ id, where, words, within: 2000, kinds: [], ...drawn, edits });
const NO_E = edit('src/decide/election.ts', "if (!input.electable.includes(member) && input.oldPrimary.fencedBy !== 'person')", 'if (false)');
const NO_QUARANTINE = edit(
  'src/agent/acts.ts',
  "const waitedMs = ask.proof === 'lease' ? await waitOutQuarantine(member, quarantineMs(ask.leaseMs), signal) : 0;",
  'const waitedMs = 0;',
);
const CUTS = { kinds: ['cut-from-temporal', 'cut-from-member', 'cut-from-all', 'cut-to-member'] };
const LEASES = { kinds: ['guard-frozen', 'agent-frozen', 'cut-from-all', 'cut-from-temporal', 'agent-killed', 'node-frozen'] };
const RULES = { mode: 'sync', kinds: ['cut-from-member', 'power-lost', 'node-killed', 'database-killed', 'cut-from-all', 'agent-frozen'] };

export const MUTATIONS = [
  rule(
    'no-margin',
    '1.2',
    'the deadline leaves no margin for the kill',
    LEASES,
    edit('src/decide/deadline.ts', 'return Math.max(requireLease(leaseMs) / 10, LEAST_MARGIN_MS, measuredStopMs);', 'return 0;'),
  ),
  rule(
    'deadline-from-answer',
    '1.2',
    'the deadline counts from the acknowledgement, not from before the send',
    { kinds: ['late-answers-then-cut'] },
    edit(
      'src/agent/lease.ts',
      'const deadlineMs = leaseDeadlineMs({ sentBootMs, leaseMs, marginMs });',
      'const deadlineMs = leaseDeadlineMs({ sentBootMs: bootTimeMs(), leaseMs, marginMs });',
    ),
  ),
  rule(
    'not-found-acknowledges',
    '1.2',
    '"not found" counts as an acknowledgement',
    {},
    edit('src/agent/task.ts', "return codeOf(error) === NOT_FOUND ? 'gone' : 'unanswered';", "return codeOf(error) === NOT_FOUND ? 'ok' : 'unanswered';"),
  ),
  rule(
    'silence-acknowledges',
    '1.2',
    'a heartbeat that was not answered counts as an acknowledgement',
    { kinds: ['temporal-killed', 'cut-from-all', 'cut-from-temporal', 'workers-away', 'cut-from-member'] },
    edit('src/agent/task.ts', "return codeOf(error) === NOT_FOUND ? 'gone' : 'unanswered';", "return codeOf(error) === NOT_FOUND ? 'gone' : 'ok';"),
  ),
  rule(
    'opens-before-the-lease',
    '1.3',
    'a promotion does not wait for its first renewal',
    { kinds: ['cut-at-promotion'], backed: { words: 'and somebody outside of E is promoted', edits: [NO_E] } },
    edit('src/agent/acts.ts', 'const first = await keeper.first;', 'const first = { armed: true };'),
  ),
  rule(
    'starts-without-a-lease',
    '1.3',
    'a guard starts a primary without its lease',
    {},
    edit('src/guard/held-lease.ts', 'if (epoch !== undefined && lease?.epoch !== epoch) {', 'if (false) {'),
    edit('src/agent/primary.ts', 'const first = await this.#keeper.first;', 'const first = { armed: true };'),
  ),
  rule('no-kernel-timer', '1.4', 'the kernel does not hold the deadline', {}, edit('test/simulation/guard-process.ts', 'engine.kill(proc);', 'void 0;')),
  rule(
    'database-outlives-guard',
    '1.4',
    'the database is not killed with its guard',
    { ends: true },
    edit('test/simulation/stand-ins/database-process.ts', 'guard.onDeath.push(() => void engine.at(killTookMs(), undefined, () => engine.kill(proc)));', ''),
  ),
  rule('epoch-not-synced', '1.6', 'role and epoch are not synced to the disk', { ends: true }, edit('src/runtime/durable-file.ts', 'await fresh.sync();', '')),
  rule(
    'tells-fenced-unfenced',
    '2a',
    '"fenced" is told without the database having been stopped',
    {},
    edit(
      'src/agent/primary.ts',
      "status = await this.#member.stop(planned ? 'fast' : 'immediate', planned ? this.#order.stopWithinMs : 0, words);",
      "status = { database: { state: 'stopped' } };",
    ),
  ),
  rule('E-ignored', '3.1', 'somebody outside of E is promoted', { kinds: ['islands'], mode: 'async' }, NO_E),
  rule(
    'E-before-acknowledged',
    '3.1',
    'E grows before the primary has acknowledged it',
    { kinds: ['islands-at-return'], mode: 'async' },
    edit('src/decide/electable.ts', 'if (acknowledged === undefined || !same(sorted(acknowledged), want))', 'if (false)'),
  ),
  rule('no-quarantine', '3.2', 'a candidate does not wait out the quarantine', CUTS, NO_QUARANTINE),
  rule(
    'half-a-quarantine',
    '3.2',
    'the quarantine is half of Q',
    CUTS,
    edit('src/agent/acts.ts', 'quarantineMs(ask.leaseMs)', 'quarantineMs(ask.leaseMs) / 2'),
  ),
  rule(
    'quarantine-not-anew',
    '3.2',
    'a restarted agent does not count its quarantine anew',
    { kinds: [...CUTS.kinds, 'agent-killed'] },
    edit('src/agent/member.ts', 'this.feed = new Feed(bootTimeMs() + BOOT_RESOLUTION_MS);', 'this.feed = new Feed(0);'),
  ),
  rule(
    'some-of-E',
    '3.3',
    'the word of some of E is enough for the second lease',
    CUTS,
    edit('src/decide/second-lease.ts', 'if (waitsFor.length > 0)', 'if (waitsFor.length === electable.length)'),
  ),
  rule(
    'mark-not-awaited',
    '3.3',
    'the second lease does not wait for its mark to be flushed',
    {},
    edit('src/agent/second-lease.ts', 'const lsn = await live.mark(leaseMs / 2);', "const lsn = '0/0';"),
  ),
  rule(
    'mark-noted-late',
    '3.3',
    'the second lease counts from the confirmation, not from before the mark',
    {
      kinds: ['late-words-then-cut'],
      backed: {
        words: 'and a word may be half a lease late',
        edits: [edit('src/agent/second-lease.ts', 'for (const untilMs = notedBootMs + leaseMs / 2;;) {', 'for (const untilMs = notedBootMs + leaseMs;;) {')],
      },
    },
    edit('src/agent/second-lease.ts', 'marker: { lsn, notedBootMs }', 'marker: { lsn, notedBootMs: bootTimeMs() }'),
  ),
  rule(
    'not-the-furthest',
    '4.1',
    'priority comes before the furthest place',
    {},
    edit('src/decide/election.ts', 'fits.sort((a, b) => compareLsn(b.lsn, a.lsn) || b.priority', 'fits.sort((a, b) => b.priority'),
  ),
  rule(
    'not-frozen',
    '4.1',
    'the receiver is not detached, and one that still receives counts as frozen',
    { ...CUTS, backed: { words: 'and there is no quarantine', edits: [NO_QUARANTINE] } },
    edit('src/decide/election.ts', "return report.detached && report.live?.receiver.state === 'none';", 'return true;'),
    edit('src/agent/member.ts', 'await live.detach({ ...settings, upstream: undefined });', ''),
  ),
  rule(
    'excluded-promoted',
    '4.1',
    'an excluded member is promoted',
    { kinds: ['excluded', 'node-killed', 'cut-from-all', 'power-lost'] },
    edit('src/decide/election.ts', 'if (input.excluded.includes(member))', 'if (false)'),
    edit('workflows/rule-keeper.ts', '!(name in state.excluded) && ', ''),
  ),
  rule(
    'old-epochs-act',
    '4.2',
    'an agent acts on an epoch that is over',
    { kinds: ['reset-to-the-start', 'continued-as-new', 'node-killed', 'switchover-asked'] },
    edit('src/model/epoch.ts', 'return asked >= highest;', 'return true;'),
  ),
  rule(
    'gives-up-after-failure',
    '4.7',
    'after an incident that promoted nobody the primary is offered no role',
    { ends: true },
    edit(
      'workflows/outcomes.ts',
      "if (state.primary !== null && run.roles.holds(state.primary) !== 'primary')\n        offerPrimary(run, { ...patienceAfter(run, outcome) });",
      'if (false)\n        void 0;',
    ),
  ),
  rule(
    'no-min-interval',
    '4.7',
    'minInterval is ignored',
    {},
    edit('src/decide/hold.ts', 'if (lastFailoverAtMs !== undefined && lastFailoverAtMs + policy.minIntervalMs > nowMs) {', 'if (false) {'),
  ),
  rule(
    'silent-names-ignored',
    '5.2',
    'names of the rule that did not answer count as if they had nothing',
    RULES,
    edit(
      'src/decide/election-loss.ts',
      'return place === undefined || compareLsn(place, lsn) > 0;',
      'return place !== undefined && compareLsn(place, lsn) > 0;',
    ),
  ),
  rule(
    'recorded-before-applied',
    '5.3',
    'a stricter rule is recorded before it is in force',
    RULES,
    edit(
      'src/decide/durability.ts',
      "return implies(wanted, recorded) ? { step: 'apply', rule: tidy(wanted) } : { step: 'record', rule: weakest(recorded, wanted) };",
      "return sameRule(recorded, wanted) ? { step: 'apply', rule: tidy(wanted) } : { step: 'record', rule: tidy(wanted) };",
    ),
  ),
  rule(
    'rule-not-confirmed',
    '5.3',
    'a rule is recorded without older commits being confirmed by it',
    RULES,
    edit('src/agent/acts.ts', 'const confirmed = flushed.length >= ask.rule.count;', 'const confirmed = true;'),
  ),
  rule(
    'no-bound-on-loss',
    '5.5',
    'async: a promotion may lose any amount by itself',
    { mode: 'async' },
    edit('src/decide/election.ts', 'if (lag > input.spec.policy.maxLagBytes)', 'if (false)'),
  ),
  rule(
    'unclean-stop-accepted',
    '6.2',
    'a switchover goes on after a stop that was not in order',
    { mode: 'sync', kinds: ['switchover-asked', 'disk-hangs', 'database-frozen', 'cut-from-member', 'power-lost'] },
    edit('workflows/switchover.ts', 'if (!stopped.clean || stopped.lsn === undefined) {', 'if (false) {'),
    edit('workflows/switchover.ts', 'fromLsn: stopped.lsn', "fromLsn: stopped.lsn ?? '0/0'"),
  ),
  rule(
    'arrival-not-awaited',
    '6.2',
    'the last of the log is not awaited before a promotion',
    { mode: 'sync', kinds: ['switchover-asked', 'switchover-asked', 'slow-to-members', 'cut-from-member', 'cut-to-member', 'database-frozen'] },
    edit('src/agent/acts.ts', 'if (compareLsn(flushedLsn, fromLsn) >= 0)', 'if (true)'),
  ),
  rule(
    'diverged-log-followed',
    '7',
    'a log that goes past the fork is not rewound',
    { ends: true },
    edit('src/decide/rejoin.ts', 'if (compareLsn(endOfLog.lsn, fork.endLsn) > 0)', 'if (false)'),
  ),
  rule(
    'starts-a-copy-as-primary',
    '7',
    "a standby's copy is started as a primary",
    { ends: true, kinds: ['order-lost'] },
    edit('src/agent/primary.ts', 'else if (footprint.standby) {', 'else if (false) {'),
    edit('test/simulation/driver.ts', "if (role === 'standby')\n            this.#directory.standby = true;", "this.#directory.standby = role === 'standby';"),
  ),
  rule(
    'new-run-takes-roles',
    '8',
    'a new run of the workflow does not offer the primary its role',
    { ends: true, kinds: ['continued-as-new', 'node-killed', 'agent-killed'] },
    edit('workflows/offers.ts', 'if (state.after === undefined && state.stopped === undefined)', 'if (false)'),
  ),
  rule(
    'records-not-compared',
    'I8',
    'a record is set without comparing what is there',
    { kinds: ['names-slow', 'switchover-asked', 'node-killed', 'record-stolen'] },
    edit('test/simulation/records.ts', 'return version === this.#version;', 'return true;'),
  ),
  rule(
    'records-without-epoch',
    'I8',
    "a later epoch's record is overwritten",
    { kinds: ['names-slow', 'switchover-asked', 'node-killed', 'names-away'] },
    edit('src/decide/change.ts', 'if (found.epoch > wanted.epoch)', 'if (false)'),
  ),
];
