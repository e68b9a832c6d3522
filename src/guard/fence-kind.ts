import type { FenceKind } from '../model/member.ts';
import { createKernelTimer, type KernelTimer } from './kernel-timer.ts';
import { probeHost, type Host } from './namespace.ts';

export interface FenceFound {
  readonly fence: FenceKind;
  /** Why the kernel does not hold leases here. */
  readonly fenceWords?: string;
  readonly realtime: boolean;
}

/** The kernel holds the lease where it both ends the guard by its timer and everything else with the guard. */
export function judgeFence(host: Host, timer: KernelTimer | { readonly why: string }): FenceFound {
  const reasons = [...('why' in timer ? [timer.why] : []), ...(host.why === undefined ? [] : [host.why])];
  if (reasons.length === 0) return { fence: 'kernel', realtime: host.realtime };
  return { fence: 'process', fenceWords: reasons.join('; '), realtime: host.realtime };
}

/** What a guard started by this user on this host would be able to do; nothing is changed by asking. */
export async function examineFence(): Promise<FenceFound> {
  return judgeFence(probeHost('ask'), await createKernelTimer());
}
