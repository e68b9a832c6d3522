import { readFile } from 'node:fs/promises';

/** By how the specifier ends, and whose import it is. */
const STAND_INS = [
  [/^@temporalio\/workflow$/, /./, 'workflow'],
  [/^@temporalio\/common\/lib\/internal-non-workflow\/index\.js$/, /./, 'payloads'],
  [/^node:fs\/promises$/, /\/src\/agent\/state-file\.js$/, 'files'],
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
  if (mutation === undefined || !url.endsWith(`/dist/${mutation.file.replace(/\.ts$/, '.js')}`)) return next(url, context);
  let source = await readFile(new URL(url), 'utf8');
  for (const [find, replacement] of mutation.edits) {
    if (source.split(find).length !== 2) throw new Error(`${mutation.file} does not hold exactly once: ${find}`);
    source = source.replace(find, () => replacement);
  }
  return { format: 'module', source, shortCircuit: true };
}
