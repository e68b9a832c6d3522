import type { Register } from './program.ts';
import { register as agent } from './agent.ts';
import { register as apply } from './apply.ts';
import { register as approve } from './approve.ts';
import { register as bench } from './bench.ts';
import { register as codecServer } from './codec-server.ts';
import { register as completion } from './completion.ts';
import { register as demo } from './demo.ts';
import { register as doctor } from './doctor.ts';
import { register as failover } from './failover.ts';
import { register as incidents } from './incidents.ts';
import { register as local } from './local.ts';
import { register as replay } from './replay.ts';
import { register as roll } from './roll.ts';
import { register as setup } from './setup.ts';
import { register as status } from './status.ts';
import { register as validate } from './validate.ts';
import { register as support } from './support.ts';
import { register as words } from './words.ts';
import { register as worker } from './worker.ts';

/** Every command, in the order of the help. `completion` comes last: it reads those before it. */
export const COMMANDS: readonly Register[] = [
  validate,
  setup,
  apply,
  doctor,
  agent,
  worker,
  status,
  failover,
  roll,
  words,
  approve,
  incidents,
  replay,
  support,
  codecServer,
  local,
  demo,
  bench,
  completion,
];
