/** `node --import`: loads the compiled tree with stand-ins for what reaches outside, and with at most one rule taken out. */
import { register } from 'node:module';

register('./hooks.mjs', import.meta.url, { data: { mutation: process.env.SIMULATION_MUTATION } });
