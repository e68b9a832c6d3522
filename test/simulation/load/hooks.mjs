import { readFile } from 'node:fs/promises';

/** By how the specifier ends, and whose import it is. */
const STAND_INS = [
  [/^@temporalio\/workflow$/, /./, 'workflow'],
  [/^@temporalio\/common\/lib\/internal-non-workflow\/index\.js$/, /./, 'payloads'],
  [/^node:fs\/promises$/, /\/src\/(agent\/state-file|runtime\/durable-file)\.js$/, 'files'],
  [/runtime\/clock\.js$/, /./, 'clock'],
  [/guard\/client\.js$/, /./, 'guard-client'],
  [/\/database-process\.js$/, /\/src\/guard\/guard\.js$/, 'database-process'],
  [/\/(namespace|fence-kind)\.js$/, /\/src\/guard\/guard\.js$/, 'nothing'],
  [/\/attributes\.js$/, /\/workflows\//, 'nothing'],
];

let mutation;

export async function initialize(data) {
  if (data?.mutation) mutation = JSON.parse(data.mutation);
}

export async function resolve(specifier, context, next) {
  const from = context.parentURL ?? '';
  for (const [what, whose, name] of STAND_INS) {
    if (what.test(specifier) && whose.test(from) && !from.includes('/test/simulation/')) {
      return { url: new URL(`../../../dist/test/simulation/stand-ins/${name}.js`, import.meta.url).href, shortCircuit: true };
    }
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  const edits = (mutation?.edits ?? []).filter(({ file }) => url.endsWith(`/dist/${file.replace(/\.ts$/, '.js')}`));
  if (edits.length === 0) return next(url, context);
  let source = await readFile(new URL(url), 'utf8');
  for (const { file, find, replacement } of edits) {
    // A rule that has been written otherwise must not pass for one that was taken out.
    if (source.split(find).length !== 2) throw new Error(`${file} does not hold exactly once: ${find}`);
    source = source.replace(find, () => replacement);
  }
  return { format: 'module', source, shortCircuit: true };
}
