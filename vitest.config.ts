import { defineConfig } from 'vitest/config';

/** Tests that start no process that lasts: they run side by side. */
const QUICK = ['test/{decide,model,properties,golden,config,runtime,docs}/**/*.test.ts', 'test/*.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'quick', include: QUICK, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      {
        extends: true,
        // Real servers and databases: one file at a time, since two would disturb each other's times on two cores.
        test: {
          name: 'whole',
          include: ['test/**/*.test.ts'],
          // Fifty groups want a machine to themselves, and minutes.
          exclude: process.env['UNDERSTUDY_FIFTY'] === '1' ? QUICK : [...QUICK, 'test/drills/fifty-groups.test.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
});
