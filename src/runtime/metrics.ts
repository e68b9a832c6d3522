/**
 * Metrics in Prometheus' text format, and no more of it than is needed here: an agent and its guard are to stay small.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
type Labels = Readonly<Record<string, string>>;
/** Undefined: there is nothing to say now, and no line. */
type Reading = number | undefined | readonly { readonly labels: Labels; readonly value: number }[];

export interface MetricLine {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

interface Metric extends MetricLine {
  lines(): string[];
}

export class Metrics {
  readonly #common: Labels;
  readonly #metrics: Metric[] = [];

  /** @param common on every line */
  constructor(common: Labels) {
    this.#common = common;
  }

  /** Counts from 0 on, so that a rate is known from the first one; `values` are those that can be foreseen. */
  counter<Value extends string>(name: string, label: string, values: readonly Value[], help: string): (value: Value) => void {
    const counts = new Map<string, number>(values.map((value) => [value, 0]));
    this.#add({ name, type: 'counter', labels: [label], help }, () => [...counts].map(([value, count]) => this.#line(name, { [label]: value }, count)));
    return (value) => void counts.set(value, (counts.get(value) ?? 0) + 1);
  }

  total(name: string, help: string): () => void {
    let count = 0;
    this.#add({ name, type: 'counter', labels: [], help }, () => [this.#line(name, {}, count)]);
    return () => void (count += 1);
  }

  /** Read when somebody asks. */
  gauge(name: string, labels: readonly string[], help: string, read: () => Reading): void {
    this.#add({ name, type: 'gauge', labels, help }, () => {
      const reading = read();
      if (reading === undefined) return [];
      if (typeof reading === 'number') return [this.#line(name, {}, reading)];
      return reading.map(({ labels: own, value }) => this.#line(name, own, value));
    });
  }

  /** @param bounds upper bounds, ascending */
  histogram(name: string, bounds: readonly number[], help: string): (value: number) => void {
    const counts = bounds.map(() => 0);
    let [sum, count] = [0, 0];
    this.#add({ name, type: 'histogram', labels: ['le'], help }, () => [
      ...bounds.map((bound, index) => this.#line(`${name}_bucket`, { le: String(bound) }, counts[index] ?? 0)),
      this.#line(`${name}_bucket`, { le: '+Inf' }, count),
      this.#line(`${name}_sum`, {}, sum),
      this.#line(`${name}_count`, {}, count),
    ]);
    return (value) => {
      sum += value;
      count += 1;
      for (const [index, bound] of bounds.entries()) if (value <= bound) counts[index] = (counts[index] ?? 0) + 1;
    };
  }

  /** What there is, for the page that explains it. */
  list(): readonly MetricLine[] {
    return this.#metrics.map(({ name, type, labels, help }) => ({ name, type, labels, help }));
  }

  text(): string {
    return this.#metrics
      .map((metric) => [`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`, ...metric.lines(), ''].join('\n'))
      .join('');
  }

  #add(line: MetricLine, lines: () => string[]): void {
    this.#metrics.push({ ...line, lines });
  }

  #line(name: string, own: Labels, value: number): string {
    const labels = Object.entries({ ...this.#common, ...own }).map(([label, text]) => `${label}="${escape(text)}"`);
    return `${name}{${labels.join(',')}} ${value}`;
  }
}

const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
