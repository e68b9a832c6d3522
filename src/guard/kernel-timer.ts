/** A POSIX timer that kills this process at an absolute instant, even where it is stopped; and the exact clock that it goes by. */
export interface KernelTimer {
  /** CLOCK_BOOTTIME in milliseconds, exactly. */
  nowMs(): number;
  /** SIGKILL to this process at that instant; replaces what was armed. At once where it has passed. */
  arm(deadlineMs: number): void;
  disarm(): void;
}

const CLOCK_BOOTTIME = 7;
const SIGEV_SIGNAL = 0;
const SIGKILL = 9;
const TIMER_ABSTIME = 1;

const SIXTY_FOUR_BITS: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64', 'ppc64', 's390x'];

/** glibc before 2.34 kept the timers in a library of their own. */
const LIBRARIES = ['libc.so.6', 'librt.so.1', 'libc.so'];

/**
 * Makes the timer, or says in words why there is none here: koffi has no binary for this platform, or the kernel refuses.
 *
 * @see timer_create(2), timer_settime(2), sigevent(7)
 */
export async function createKernelTimer(): Promise<KernelTimer | { readonly why: string }> {
  if (process.platform !== 'linux') return { why: `${process.platform} has no CLOCK_BOOTTIME timers` };
  if (!SIXTY_FOUR_BITS.includes(process.arch)) return { why: `the layout of the kernel's structures is not known for ${process.arch}` };
  try {
    return await load();
  } catch (error) {
    // koffi throws plain errors: no binary for this platform, no such library, no such symbol.
    return { why: `the kernel's timer cannot be reached: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` };
  }
}

async function load(): Promise<KernelTimer> {
  const koffi = await import('koffi');
  const timespec = koffi.struct('timespec', { tv_sec: 'int64_t', tv_nsec: 'int64_t' });
  koffi.struct('itimerspec', { it_interval: timespec, it_value: timespec });
  koffi.struct('sigevent', { sigev_value: 'int64_t', sigev_signo: 'int', sigev_notify: 'int', pad: koffi.array('int', 12) });

  const library = LIBRARIES.map((name) => open(koffi, name)).find((found) => found !== undefined);
  if (library === undefined) throw new Error(`none of ${LIBRARIES.join(', ')} has timer_create`);
  const timerCreate = library.func('int timer_create(int clock, sigevent *event, _Out_ void **timer)');
  const timerSettime = library.func('int timer_settime(void *timer, int flags, itimerspec *wanted, void *old)');
  const clockGettime = library.func('int clock_gettime(int clock, _Out_ timespec *now)');

  const event = { sigev_value: 0, sigev_signo: SIGKILL, sigev_notify: SIGEV_SIGNAL, pad: Array.from({ length: 12 }, () => 0) };
  const timer: [unknown] = [null];
  check('timer_create', timerCreate(CLOCK_BOOTTIME, event, timer));

  const now = { tv_sec: 0, tv_nsec: 0 };
  const set = (seconds: number, nanoseconds: number) => {
    const wanted = { it_interval: { tv_sec: 0, tv_nsec: 0 }, it_value: { tv_sec: seconds, tv_nsec: nanoseconds } };
    check('timer_settime', timerSettime(timer[0], TIMER_ABSTIME, wanted, null));
  };
  function check(call: string, result: number): void {
    if (result !== 0) throw new Error(`${call} failed with errno ${koffi.errno()}`);
  }
  set(0, 0);
  return {
    nowMs() {
      check('clock_gettime', clockGettime(CLOCK_BOOTTIME, now));
      return Number(now.tv_sec) * 1000 + Number(now.tv_nsec) / 1e6;
    },
    arm(deadlineMs) {
      const seconds = Math.floor(deadlineMs / 1000);
      // All zero would disarm; an instant so early has passed anyway.
      set(seconds, Math.max(1, Math.floor((deadlineMs - seconds * 1000) * 1e6)));
    },
    disarm() {
      set(0, 0);
    },
  };
}

function open(koffi: typeof import('koffi'), name: string) {
  try {
    const library = koffi.load(name);
    library.func('timer_create', 'int', ['int', 'void *', 'void *']);
    return library;
  } catch {
    return undefined; // not this one: koffi names neither a missing library nor a missing symbol by a code
  }
}
