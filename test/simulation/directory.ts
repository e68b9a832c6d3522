import type { CommitRule } from '../../src/model/group.ts';
import { NO_RULE } from '../../src/model/group.ts';
import type { Footprint, Upstream } from '../../src/model/member.ts';
import { lsn, type Branch } from './log.ts';

/** A member's data directory: what of its database outlives the process, and the power. */
export class Directory {
  state: 'empty' | 'data' | 'torn' | 'foreign' = 'empty';
  tornBy: 'clone' | 'rewind' = 'clone';
  branch: Branch | undefined;
  /** How far the log is safe here. */
  end = 0;
  /** Its next start is as a standby. */
  standby = false;
  clean = false;
  /** The control file knows its timeline already. */
  checkpointed = true;
  upstream: Upstream | undefined;
  rule: CommitRule = NO_RULE;
  leaseMs = 1000;
  slots = new Set<string>();

  footprint(): Footprint {
    if (this.state === 'empty') return { state: 'empty' };
    if (this.state === 'torn') return { state: 'torn', by: this.tornBy };
    const { branch } = this;
    if (this.state === 'foreign' || branch === undefined) return { state: 'foreign', found: 'files of another kind' };
    return {
      state: 'data',
      systemId: branch.systemId,
      version: '15',
      timeline: branch.timeline,
      // Where the last record begins, which a shutdown in order makes a checkpoint.
      checkpointLsn: lsn(this.clean ? this.end - 32 : this.end),
      cleanShutdown: this.clean,
      standby: this.standby,
    };
  }
}
