import { HOST } from './ports.ts';

/** Where the parts of a stage are. A part is a member, `temporal`, `worker`, `dns`, or `client` for those who write and read. */
export interface StageNetwork {
  /** The address that the part is reached by, and listens on. */
  hostOf(part: string): string;
  /** A Temporal development server's own services find each other by 127.0.0.1, whatever it is told to listen on: one that has a host to itself listens on all of it. */
  readonly temporalListensOn: string;
  /** What stands before a command so that it runs where the part is; empty where that is here. */
  enter(part: string): readonly string[];
}

/** All on this host's own loopback, told apart by their ports. */
export const LOOPBACK: StageNetwork = { hostOf: () => HOST, temporalListensOn: HOST, enter: () => [] };
