import { mkdirSync, writeFileSync } from 'node:fs';
import { runTool } from './tool.ts';
import type { StageNetwork } from '../stage/network.ts';

/** From one part to another; packets the other way are another direction. */
export type Direction = readonly [from: string, to: string];

/**
 * A network of hosts that are network namespaces, each behind a link of its own to a router, which is the namespace that this process is in. Needs
 * iproute2 alone: what may not pass is a blackhole among the router's rules, which drops in silence and in one direction. The router itself reaches
 * everybody always, so that whoever judges sees both sides of a cut.
 */
export class Network implements StageNetwork {
  readonly temporalListensOn = '0.0.0.0';
  readonly #subnets: ReadonlyMap<string, number>;
  readonly #cut = new Set<string>();
  readonly #slowed = new Set<string>();

  private constructor(parts: readonly string[]) {
    this.#subnets = new Map(parts.map((part, index) => [part, index + 1]));
  }

  /** @throws Error with the tool's words where this kernel, or these rights, do not allow it */
  static async make(parts: readonly string[]): Promise<Network> {
    const network = new Network(parts);
    // Names of namespaces are files, and the mount is this process's alone: the names of this run are nobody else's, and end with it.
    await runTool('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
    mkdirSync('/run/netns');
    await runTool('ip', ['link', 'set', 'lo', 'up']);
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    for (const part of parts) await network.#plug(part);
    return network;
  }

  async #plug(part: string): Promise<void> {
    const link = linkOf(part);
    const [host, gateway] = [this.hostOf(part), this.#address(part, 1)];
    await runTool('ip', ['netns', 'add', part]);
    await runTool('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', part]);
    await batch([`addr add ${gateway}/24 dev ${link}`, `link set ${link} up`]);
    await batch([`addr add ${host}/24 dev eth0`, 'link set lo up', 'link set eth0 up', `route add default via ${gateway}`], part);
  }

  get parts(): string[] {
    return [...this.#subnets.keys()];
  }

  hostOf(part: string): string {
    return this.#address(part, 2);
  }

  enter(part: string): string[] {
    this.#address(part, 2);
    return ['nsenter', `--net=/run/netns/${part}`, '--'];
  }

  /** What may not pass from now on, besides what may not already. */
  async cut(directions: readonly Direction[]): Promise<void> {
    const wanted = new Set(directions.map((direction) => this.#rule(direction)).filter((rule) => !this.#cut.has(rule)));
    await batch([...wanted].map((rule) => `rule add ${rule}`));
    for (const rule of wanted) this.#cut.add(rule);
  }

  async heal(directions: readonly Direction[]): Promise<void> {
    const wanted = new Set(directions.map((direction) => this.#rule(direction)).filter((rule) => this.#cut.has(rule)));
    await batch([...wanted].map((rule) => `rule del ${rule}`));
    for (const rule of wanted) this.#cut.delete(rule);
  }

  /** Everybody reaches everybody, as fast as this host can. */
  async healAll(): Promise<void> {
    await batch([...this.#cut].map((rule) => `rule del ${rule}`));
    this.#cut.clear();
    for (const part of this.parts) await this.#quicken(part);
  }

  /**
   * A narrow link with a deep queue, in both directions: what is sent waits behind what was sent before.
   *
   * @param queueMs how long at most, before it is dropped
   */
  async slow(part: string, kilobits: number, queueMs: number): Promise<void> {
    const words = ['root', 'tbf', 'rate', `${kilobits}kbit`, 'burst', '2kb', 'latency', `${queueMs}ms`];
    await runTool('tc', ['qdisc', 'replace', 'dev', linkOf(part), ...words]);
    await runTool('tc', ['-n', part, 'qdisc', 'replace', 'dev', 'eth0', ...words]);
    this.#slowed.add(part);
  }

  async #quicken(part: string): Promise<void> {
    if (!this.#slowed.delete(part)) return;
    await runTool('tc', ['qdisc', 'del', 'dev', linkOf(part), 'root']);
    await runTool('tc', ['-n', part, 'qdisc', 'del', 'dev', 'eth0', 'root']);
  }

  #rule([from, to]: Direction): string {
    return `from ${this.hostOf(from)} to ${this.hostOf(to)} blackhole prio 100`;
  }

  #address(part: string, last: number): string {
    const subnet = this.#subnets.get(part);
    if (subnet === undefined) throw new Error(`the network has no part ${part}; it has ${this.parts.join(', ')}`);
    return `10.77.${subnet}.${last}`;
  }
}

/** At most fifteen characters. */
const linkOf = (part: string): string => `to-${part}`.slice(0, 15);

async function batch(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  await runTool('ip', [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-'], `${lines.join('\n')}\n`);
}
